//! Sentences of one's own in the grids of a run.

use std::path::Path;

use candle_core::{Device, Tensor};
use stackgan_core::{Recipe, Stage};
use stackgan_data::crop::decode;
use stackgan_data::dataset::Split;
use stackgan_data::noise::{Noise, Stream};
use stackgan_train::config::TrainConfig;
use stackgan_train::policy::Policy;
use stackgan_train::run::Setup;
use stackgan_train::{Error, Shown};

use crate::run::{Folder, config};

/// Two sentences: one with the vector of the first caption of the grids, another with one of its own.
fn two(folder: &Folder) -> Shown {
    let (data, embeddings) = &folder.data;
    let first = data.caption_range(data.indices(Split::Test)[0]).start;
    let mut vectors = embeddings.rows(first..first + 1).unwrap();
    vectors.extend(Noise::new(9).normal(Stream::Test, 0, 0, embeddings.dim()));
    let vectors = Tensor::from_vec(vectors, (2, embeddings.dim()), &Device::Cpu).unwrap();
    Shown { sentences: vec!["as the first row".to_owned(), "a *red* bird".to_owned()], vectors }
}

fn with(folder: &Folder, cfg: &TrainConfig, shown: Shown) -> Setup {
    Setup { shown: Some(shown), ..folder.setup(cfg) }
}

/// The bytes of each row of a grid: 64 pixels, two from the next.
fn rows(folder: &Folder, run: &str) -> Vec<Vec<u8>> {
    let png = folder.bytes(run, "samples/000002.png");
    let grid = decode(&png, Path::new("grid")).unwrap();
    let line = 3 * grid.width() as usize;
    let rows = grid.as_raw()[2 * line..].chunks_exact(66 * line);
    rows.map(|row| row[..64 * line].to_vec()).collect()
}

#[test]
fn sentences_of_ones_own_are_rows_more_and_change_nothing_else() {
    let folder = Folder::new(Stage::One);
    let mut cfg = config(Stage::One, Recipe::Residual);
    (cfg.optim.steps, cfg.run.checkpoint_every, cfg.run.sample_every) = (2, 1, 1);
    cfg.optim.lr_g = 0.1; // or pictures of different words come out alike after so few steps
    for standardised in [false, true] {
        cfg.data.embedding_standardise = standardised;
        let name = |what: &str| format!("{what}-{standardised}");
        let go = |run: &str, setup, upto| {
            folder.run(run, setup, upto, &Policy::default()).0.unwrap();
        };
        let [none, own, parts] = ["none", "own", "parts"].map(name);
        go(&none, folder.setup(&cfg), 99);
        go(&own, with(&folder, &cfg, two(&folder)), 99);
        for file in [
            "model.safetensors",
            "checkpoints/step-0000002.safetensors",
            "config.toml",
            "reals.png",
        ] {
            assert!(folder.bytes(&none, file) == folder.bytes(&own, file), "{file}");
        }
        assert_eq!(folder.stats(&none), folder.stats(&own));

        let (before, after) = (rows(&folder, &none), rows(&folder, &own));
        let count = before.len();
        assert!(count > 1 && after.len() == count + 2, "{count}, then {}", after.len());
        assert!(before == after[..count], "the dataset's rows are other ones");
        assert!(after[count] == after[0], "the same vector, other pictures");
        assert!(after[count + 1] != after[0], "another vector, the same pictures");
        let text = |run: &str, file| String::from_utf8(folder.bytes(run, file)).unwrap();
        let listed = "as the first row (no real picture)\na *red* bird (no real picture)\n";
        let captions = text(&none, "samples/captions.txt") + listed;
        assert_eq!(text(&own, "samples/captions.txt"), captions);
        assert_eq!(text(&own, "samples/sentences.txt"), "as the first row\na *red* bird\n");
        assert!(!folder.folder.path().join(&none).join("samples/sentences.txt").exists());

        // A run that is gone on with shows what it is given then.
        go(&parts, with(&folder, &cfg, two(&folder)), 1);
        go(&parts, with(&folder, &cfg, two(&folder)), 99);
        for file in ["samples/000001.png", "samples/000002.png", "samples/captions.txt"] {
            assert!(folder.bytes(&own, file) == folder.bytes(&parts, file), "{file}");
        }
        go(&parts, folder.setup(&cfg), 99);
        assert_eq!(text(&parts, "samples/captions.txt"), text(&none, "samples/captions.txt"));
        assert!(!folder.folder.path().join(&parts).join("samples/sentences.txt").exists());
    }
}

#[test]
fn sentences_whose_vectors_do_not_fit_are_refused() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    let refused = |shown: Shown| match with(&folder, &cfg, shown).check() {
        Err(Error::Config { key, expected, found, .. }) => {
            assert_eq!(key, "shown");
            (expected, found)
        }
        other => panic!("{other:?}"),
    };
    with(&folder, &cfg, two(&folder)).check().unwrap();
    let Shown { sentences, vectors } = two(&folder);
    let narrow = vectors.narrow(1, 0, 5).unwrap();
    let (expected, found) = refused(Shown { sentences: sentences.clone(), vectors: narrow });
    assert_eq!(expected, format!("f32 vectors of shape [2, {}]", cfg.net.text_dim));
    assert_eq!(found, "f32 of shape [2, 5]");
    refused(Shown { sentences: sentences[..1].to_vec(), vectors: vectors.clone() });
    for odd in ["a red\nbird", "a red\rbird", " ", ""] {
        let sentences = vec![sentences[0].clone(), odd.to_owned()];
        let found = refused(Shown { sentences, vectors: vectors.clone() }).1;
        assert_eq!(found, format!("`{}`", odd.escape_debug()));
    }
}
