//! `text train --features`: an encoder that learns from a pretrained network's features.

use std::fs;
use std::path::Path;
use std::process::Command;

use stackgan_core::archive::Archive;
use stackgan_core::digest::sha256;

use crate::common::{TINY, WORLD, archive, done, failed, record, set};
use crate::errors::four_parts;
use crate::lite0::lite0;

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
    for (option, value) in [("--lr", "2"), ("--batch", "1")] {
        let args = ["text", "train", "--data", "fresh", option, value];
        let (code, error) = failed(dir.path(), &args);
        assert_eq!(code, 2, "{error}");
        four_parts(&error, option.trim_start_matches('-'));
    }
    assert!(!dir.path().join("fresh/prepared").exists());
    let (code, error) = train("none.pth");
    assert_eq!(code, 4, "{error}");
    four_parts(&error, "none.pth");
    let (code, error) = train(encoder.to_str().unwrap());
    assert_eq!(code, 3, "{error}");
    four_parts(&error, "_conv_stem.weight");
    // Before the network is read.
    let other = ["--features", encoder.to_str().unwrap(), "--batch", "500", "-q"];
    let args = [&["text", "train", "--data", birds.to_str().unwrap()][..], &other].concat();
    let (code, error) = failed(dir.path(), &args);
    assert_eq!(code, 2, "{error}");
    four_parts(&error, "batch");
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

/// The encoder of the flowers is trained for 200 steps for each class, which `--steps` replaces here.
#[test]
fn the_recurrence_is_the_one_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let birds = WORLD.birds();
    for recurrence in ["gru", "rnn"] {
        let args = ["text", "train", "--data", birds.to_str().unwrap(), "-q", "--steps", "1"];
        let more = ["--batch", "2", "--recurrence", recurrence, "--out", recurrence];
        done(dir.path(), &[&args[..], &more].concat());
        let archive = archive(&dir.path().join(recurrence));
        let config = archive.metadata.values().find(|text| text.contains("recurrence")).unwrap();
        assert!(config.contains(&format!("\"recurrence\":\"{recurrence}\"")), "{config}");
        let gates = archive.tensors.keys().filter(|name| name.contains("update")).count();
        assert_eq!(gates > 0, recurrence == "gru", "{:?}", archive.tensors.keys());
    }
}

/// Returns the network of features with weights by a formula.
fn network() -> Archive {
    Archive { tensors: lite0(), ..Archive::default() }
}

#[test]
fn features_are_computed_once_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::write(dir.join("lite0.safetensors"), network().to_bytes().unwrap()).unwrap();
    done(dir, &["data", "toy", "--out", "birds", "--count", "12", "-q"]);
    let lesson =
        ["text", "train", "--data", "birds", "--steps", "3", "-q", "--features-side", "64"];
    let train = |out: &str| {
        done(dir, &[&lesson[..], &["--features", "lite0.safetensors", "--out", out]].concat());
        fs::read(dir.join(out)).unwrap()
    };
    let kept = || {
        let files = fs::read_dir(dir.join("birds/prepared")).unwrap().flatten();
        let mut files = files.filter(|f| f.file_name().to_string_lossy().starts_with("features-"));
        let file = files.next().unwrap();
        assert!(files.next().is_none());
        file.metadata().unwrap().modified().unwrap()
    };
    let (first, made) = (train("first"), kept());
    assert!(train("second") == first);
    assert_eq!(kept(), made, "computed twice");
    let encode = ["text", "encode", "--encoder", "first", "--data", "birds", "--output", "e", "-q"];
    done(dir, &encode);
}

/// The weights that `model import` keeps are those of the published file: by either, an encoder has
/// the same bytes, and it is matched through either.
#[test]
fn a_network_is_found_by_the_name_of_what_was_imported() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut weights = network();
    let published = weights.to_bytes().unwrap();
    fs::write(dir.join("lite0.safetensors"), &published).unwrap();
    done(dir, &["data", "toy", "--out", "birds", "--count", "12", "-q"]);
    let args = |network: &'static str, out: &'static str| {
        let lesson = ["text", "train", "--data", "birds", "-q", "--steps", "2", "--out", out];
        [&lesson[..], &["--features", network, "--features-side", "64"]].concat()
    };
    let name = "efficientnet-lite0";
    let (code, said) = failed(dir, &args(name, "none"));
    assert_eq!(code, 4, "{said}");
    four_parts(&said, "efficientnet-lite0.safetensors");
    assert!(said.contains("`stackgan model import"), "{said}");
    done(dir, &args("lite0.safetensors", "by-file"));

    // As `model import` writes it, which takes published weights alone.
    let digest = weights.sha256().unwrap();
    weights.metadata.insert("stackgan.tensors_sha256".to_owned(), digest);
    weights.metadata.insert("stackgan.source_sha256".to_owned(), sha256(&published));
    fs::create_dir_all(dir.join("data/features")).unwrap();
    let kept = |name: &str| dir.join(format!("data/features/{name}.safetensors"));
    fs::write(kept(name), weights.to_bytes().unwrap()).unwrap();
    for file in fs::read_dir(dir.join("birds/prepared")).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("features-") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    done(dir, &args(name, "by-name"));
    assert!(fs::read(dir.join("by-file")).unwrap() == fs::read(dir.join("by-name")).unwrap());

    for network in ["lite0.safetensors", name] {
        let run = format!("run-{network}");
        let mut args = vec!["train", "--stage", "1", "-q", "--data", "birds", "--run", &run];
        args.extend(["--encoder", "by-file", "--features", network, "--set", "loss.matching=1"]);
        args.extend(set(TINY));
        done(dir, &[&args[..], &["--set", "optim.steps=1"]].concat());
        let told = record(&dir.join(&run));
        let file = Path::new(told["features"].as_str().unwrap());
        assert!(file.is_absolute() && file.is_file(), "found from any folder: {told}");
    }
    fs::write(kept("inception-fid"), "").unwrap();
    let (code, said) = failed(dir, &args("inception-fid", "none"));
    assert_eq!(code, 2, "{said}");
    four_parts(&said, "`efficientnet-lite0`");
}

/// A training that is stopped after every few steps ends in the bytes of one that is not.
#[cfg(unix)]
#[test]
fn a_stopped_training_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let birds = WORLD.birds().display().to_string();
    let train = |out: &str, more: &[&str]| -> Vec<String> {
        let args =
            ["text", "train", "--data", &birds, "--steps", "6", "--batch", "2", "--out", out];
        [&args[..], more].concat().into_iter().map(str::to_owned).collect()
    };
    let run = |args: Vec<String>| failed(dir, &args);
    assert_eq!(run(train("whole", &[])).0, 0);
    let stopped = || run(train("parts", &["--max-hours", "1e-9"]));
    for step in 1..=3 {
        let (code, said) = stopped();
        assert!(code == 75 && said.contains(&format!("stopped at step {step}")), "{code} {said}");
        assert!(!dir.join("parts").exists() && dir.join("parts.unfinished").is_file());
    }
    let (code, said) = run(train("parts", &["--seed", "1"]));
    assert!(code == 2 && said.contains("another encoder is in the way"), "{code} {said}");
    let state = fs::read(dir.join("parts.unfinished")).unwrap();
    fs::write(dir.join("parts.unfinished"), &state[..state.len() / 2]).unwrap();
    let (code, said) = run(train("parts", &[]));
    assert!(code == 3 && said.contains("cannot be read"), "{code} {said}");
    fs::write(dir.join("parts.unfinished"), &state).unwrap();
    // The encoder cannot be written: the training is not lost with it.
    let mut limited = crate::common::program(dir, &["sh", "-c", "ulimit -f 1; exec \"$@\"", "sh"]);
    let refused = limited.args(train("parts", &["-q"])).output().unwrap();
    assert_eq!(refused.status.code(), Some(6), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(fs::read(dir.join("parts.unfinished")).unwrap() == state);
    let (code, said) = run(train("parts", &[]));
    assert!(code == 0 && said.contains("goes on at step 3"), "{code} {said}");
    assert!(said.contains("text encoder: 6 steps"), "{said}");
    assert!(fs::read(dir.join("parts")).unwrap() == fs::read(dir.join("whole")).unwrap());
    assert!(!dir.join("parts.unfinished").exists());
}

/// Embeddings get their name when they are whole: a link stays a link, and a pipe a pipe.
#[cfg(unix)]
#[test]
fn vectors_are_not_written_over_what_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let encoder = WORLD.encoder().display().to_string();
    let encode = |output: &str| -> Vec<String> {
        let args =
            ["text", "encode", "--encoder", &encoder, "-p", "a red bird", "--output", output];
        args.map(str::to_owned).to_vec()
    };
    fs::write(dir.join("real"), "old").unwrap();
    std::os::unix::fs::symlink("real", dir.join("link")).unwrap();
    done(dir, &encode("link"));
    assert!(dir.join("link").is_symlink() && fs::read(dir.join("real")).unwrap().len() > 100);
    assert!(Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap().success());
    let (code, said) = failed(dir, &encode("pipe"));
    assert!(code == 2 && said.contains("a pipe or a device"), "{code} {said}");
    assert!(!dir.join("pipe").is_file() && dir.join("pipe").exists());
}
