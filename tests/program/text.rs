//! `text train --features`: an encoder that learns from a pretrained network's features.

use std::fs;

use crate::common::{WORLD, done, failed};
use crate::errors::four_parts;

#[test]
fn weights_that_are_missing_or_of_another_network_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (birds, encoder) = (WORLD.birds(), WORLD.encoder());
    let train = |weights: &str| {
        let args = ["text", "train", "--data", birds.to_str().unwrap(), "--features", weights];
        failed(dir.path(), &[&args[..], &["-q"]].concat())
    };
    // Before anything is imported.
    done(dir.path(), &["data", "toy", "--out", "fresh", "--count", "12", "-q"]);
    let args = ["text", "train", "--data", "fresh", "--features", "none.pth"];
    assert_eq!(failed(dir.path(), &args).0, 4);
    assert!(!dir.path().join("fresh/prepared").exists());
    let (code, error) = train("none.pth");
    assert_eq!(code, 4, "{error}");
    four_parts(&error, "none.pth");
    let (code, error) = train(encoder.to_str().unwrap());
    assert_eq!(code, 3, "{error}");
    four_parts(&error, "_conv_stem.weight");
    assert!(!dir.path().join("encoder.safetensors").exists());
}

#[test]
fn an_encoder_says_how_well_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let birds = WORLD.birds();
    let args = ["text", "train", "--data", birds.to_str().unwrap(), "--steps", "1", "--batch", "2"];
    let (code, said) = failed(dir.path(), &args);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 step, loss ") && said.contains("no score: the test split"), "{said}");
}

#[test]
fn features_are_computed_once_and_trained_on() {
    let Some(weights) = std::env::var_os("STACKGAN_EFFICIENTNET_LITE0") else {
        eprintln!("skipped: STACKGAN_EFFICIENTNET_LITE0 names no file of weights");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let birds = dir.path().join("birds");
    done(dir.path(), &["data", "toy", "--out", "birds", "--count", "12", "-q"]);
    let args = ["text", "train", "--data", "birds", "--steps", "3", "-q", "--features"];
    let args = [&args[..], &[weights.to_str().unwrap()]].concat();
    done(dir.path(), &args);
    let kept = || {
        let files = fs::read_dir(birds.join("prepared")).unwrap().flatten();
        let mut files = files.filter(|f| f.file_name().to_string_lossy().starts_with("features-"));
        let file = files.next().unwrap();
        assert!(files.next().is_none());
        file.metadata().unwrap().modified().unwrap()
    };
    let (first, made) = (fs::read(dir.path().join("encoder.safetensors")).unwrap(), kept());
    done(dir.path(), &args);
    assert_eq!(kept(), made, "computed twice");
    assert!(first == fs::read(dir.path().join("encoder.safetensors")).unwrap());
    let encode = ["text", "encode", "--encoder", "encoder.safetensors", "--data", "birds"];
    done(dir.path(), &[&encode[..], &["--output", "e.safetensors", "-q"]].concat());
}
