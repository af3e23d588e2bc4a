//! Captions with embeddings that were made elsewhere, to paint from; and embeddings whose encoder is named, so that sentences
//! can be typed for the model that was trained on them.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{
    TELLING, TINY, WORLD, archive, done, failed, set, stackgan, training, with, write_given,
};
use crate::own::painted;
use crate::reed;

const SENTENCES: [&str; 3] = [
    "a red bird with a yellow belly",
    "a blue bird with a long black tail",
    "a bird, small: it has a crown",
];

/// The vectors that `encoder` makes of `captions`.
fn vectors(dir: &Path, encoder: &Path, captions: &[String]) -> Vec<Vec<f32>> {
    fs::write(dir.join("list.txt"), captions.join("\n")).unwrap();
    let encoder = encoder.display().to_string();
    let args = ["--captions", "list.txt", "--output", "v.safetensors", "-q"];
    done(dir, &[&["text", "encode", "--encoder", &encoder], &args[..]].concat());
    archive(&dir.join("v.safetensors")).tensors["embeddings"].to_vec2().unwrap()
}

/// `given.npy`, and the list of its captions beside it.
fn npy(dir: &Path, captions: &[String], rows: &[Vec<f32>]) {
    write_given(dir, rows[0].len(), &rows.concat(), &(captions.join("\n") + "\n"));
}

/// An encoder of the shared one's width, and another.
fn other_encoder(dir: &Path) -> PathBuf {
    let birds = WORLD.birds().display().to_string();
    let size = ["--steps", "1", "--batch", "2", "--seed", "9", "--out", "other.safetensors", "-q"];
    done(dir, &[&["text", "train", "--data", &birds], &size[..]].concat());
    dir.join("other.safetensors")
}

#[track_caller]
fn refused(dir: &Path, args: &[impl AsRef<OsStr> + Debug], code: i32, parts: &[&str]) {
    let (found, said) = failed(dir, args);
    assert_eq!(found, code, "{args:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

#[test]
fn the_releases_captions_are_painted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &with(&training("1", "2", &dir.join("run")), &TELLING));
    let (encoder, sentences) = (WORLD.encoder(), SENTENCES.map(str::to_owned).to_vec());
    let rows = vectors(dir, &encoder, &sentences);
    fs::write(dir.join("captions.t7"), reed::captions(&sentences, &rows)).unwrap();
    npy(dir, &sentences, &rows);
    let encoder = encoder.display().to_string();
    let said = painted(dir, "run", &["-p", SENTENCES[0], "-p", SENTENCES[1], "-p", SENTENCES[2]]);
    for file in ["captions.t7", "given.npy"] {
        let out = ["--made-by", &encoder, "--out", "to/captions.safetensors", "-q"];
        let named = done(dir, &[&["text", "import", file], &out[..]].concat());
        assert_eq!(named.trim(), "to/captions.safetensors");
        let given = ["--embeddings", "to/captions.safetensors", "--grid"];
        assert_eq!(painted(dir, "run", &given), said, "{file}");
    }
    assert!(dir.join("out/grid.png").is_file());
    let names = fs::read_dir(dir.join("out")).unwrap().flatten().map(|file| file.file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(
        names.iter().any(|name| name.contains("a-blue-bird-with-a-long-black-tail")),
        "{names:?}"
    );

    // As it is, it is no file of ours; without its encoder it may be another's than the model's.
    let paint = ["generate", "-m", "run", "--rows", "0-2", "--embeddings"];
    let remedy = ["captions.t7", "`stackgan text import FILE --out captions.safetensors`"];
    refused(dir, &[&paint[..], &["captions.t7"]].concat(), 3, &remedy);
    done(dir, &["text", "import", "captions.t7", "-q"]);
    refused(dir, &[&paint[..], &["captions.safetensors"]].concat(), 3, &["`--made-by ENCODER"]);

    let import = ["text", "import", "captions.t7", "--out", "no.safetensors"];
    let other = other_encoder(dir).display().to_string();
    let parts =
        ["captions.t7", "at least 3 of 3 compared captions", "--case keep", "found 0; the median"];
    refused(dir, &[&import[..], &["--made-by", &other]].concat(), 3, &parts);
    refused(dir, &[&import[..], &["--made-by", "none"]].concat(), 4, &["none"]);
    refused(dir, &[&import[..], &["--case", "keep"]].concat(), 2, &["option: --case"]);
    let parts = ["option: --made-by", "the file holds no embeddings"];
    refused(dir, &["text", "import", &other, "--made-by", &other], 2, &parts);
    assert!(!dir.join("no.safetensors").exists());
}

/// The arguments of an import of `given.npy` for the shared birds, beside prepared files in `out`.
fn import<'a>(birds: &'a str, out: &'a str) -> Vec<&'a str> {
    let given = ["--size", "76", "--embeddings", "given.npy", "-q"];
    [&["data", "import", birds, "--out", out], &given[..]].concat()
}

/// Trains on the embeddings in `data`.
fn trained(dir: &Path, data: &str, run: &str) {
    let file = format!("{data}/prepared-76.safetensors");
    let args = ["train", "--stage", "1", "-q", "--run", run, "--data", &file];
    let steps = ["--set", "optim.steps=2"];
    done(dir, &[&args[..], &set(TINY), &steps, &TELLING].concat());
}

#[test]
fn sentences_are_typed_for_a_model_of_embeddings_whose_encoder_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let birds = WORLD.birds().display().to_string();
    let captions = done(dir, &["data", "captions", &birds, "-q"]);
    let captions: Vec<String> = captions.lines().map(str::to_owned).collect();
    let (encoder, other) = (WORLD.encoder(), other_encoder(dir));
    let rows = vectors(dir, &encoder, &captions);
    npy(dir, &captions, &rows);
    let (encoder, other) = (encoder.display().to_string(), other.display().to_string());
    let known = import(&birds, "known");
    let wrong = [&known[..], &["--made-by", &other]].concat();
    let parts = ["given.npy", "compared captions", "the median difference is", "do: "];
    refused(dir, &wrong, 3, &parts);
    assert!(!dir.join("known/embeddings.safetensors").exists());
    let none = ["data", "import", &birds, "--out", "new", "--made-by", &encoder];
    refused(dir, &none, 2, &["--embeddings"]);
    assert!(!dir.join("new").exists());

    done(dir, &[&known[..], &["--made-by", &encoder]].concat());
    trained(dir, "known", "low");
    let info = done(dir, &["model", "info", "low", "--json"]);
    assert!(!info.contains("imported-"), "{info}");
    refused(dir, &["generate", "-m", "low", "-p", "a red bird"], 4, &["`--encoder`"]);
    let with_other = ["generate", "-m", "low", "-p", "a red bird", "--encoder", &other];
    refused(dir, &with_other, 3, &["trained with another text encoder"]);
    let said =
        painted(dir, "low", &["-p", &captions[0], "-p", "a red bird", "--encoder", &encoder]);
    let given = ["--embeddings", "known/embeddings.safetensors", "--rows", "0"];
    assert_eq!(painted(dir, "low", &given)[0].1, said[0].1);
    assert_ne!(said[0].1, said[1].1);

    // Of a model whose encoder nobody knows nobody can tell either whose embeddings it takes.
    done(dir, &import(&birds, "unknown"));
    trained(dir, "unknown", "old");
    let with_encoder = ["generate", "-m", "old", "-p", "a red bird", "--encoder", &encoder];
    refused(dir, &with_encoder, 3, &["another text encoder"]);
    npy(dir, &captions[..2], &rows[..2]);
    done(dir, &["text", "import", "given.npy", "-q"]);
    let given = ["--embeddings", "captions.safetensors", "--rows", "1", "--out", "out"];
    let output =
        stackgan(dir, &[&["generate", "-m", "old"], &given[..]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("is not known: the pictures"), "{said}");
    assert_eq!(painted(dir, "old", &given[..4])[0].0, captions[1]);
}
