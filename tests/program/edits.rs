//! What is made of sentences beside single pictures: `edit`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::{done, failed, train, training};
use crate::errors::four_parts;

/// A folder with a Stage-I model, `run`, whose pictures differ by words and noise.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut args = training("1", "2", &dir.path().join("run"));
    args.extend(["--set", "optim.lr_g=0.1"].map(str::to_owned)); // words shall be seen at once
    train(dir.path(), &args);
    dir
}

/// Runs a command with `run` and `-q`; the files that it names.
fn painted(dir: &Path, command: &str, more: &[&str]) -> Vec<PathBuf> {
    let said = done(dir, &[&[command, "-m", "run", "-q"], more].concat());
    said.lines().map(|line| dir.join(line)).collect()
}

fn names(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn documents(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn alternatives_are_painted_as_their_sentences_are() {
    let folder = folder();
    let dir = folder.path();
    let prompt = ["-p", "a {red, blue} bird with a {short,long} beak", "--seeds", "0,5"];
    let edited = painted(dir, "edit", &[&prompt[..], &["--out", "a"]].concat());
    assert_eq!(edited.len(), 9);
    assert_eq!(edited[8], dir.join("a/edit.png"));
    let sheet = image::open(&edited[8]).unwrap();
    assert!(
        sheet.width() > 2 * 128 && sheet.height() > 4 * 128,
        "two columns, two rows for each seed"
    );
    let sentences = [
        "red bird with a short",
        "red bird with a long",
        "blue bird with a short",
        "blue bird with a long",
    ];
    for (i, file) in edited[..8].iter().enumerate() {
        let (sentence, seed) = (format!("a {} beak", sentences[i / 2]), ["0", "5"][i % 2]);
        let alone = painted(dir, "generate", &["-p", &sentence, "--seed", seed, "--out", "b"]);
        assert_eq!(
            names(&edited)[i][6..],
            names(&alone)[0][6..],
            "the same name but for its number"
        );
        assert!(fs::read(file).unwrap() == fs::read(&alone[0]).unwrap(), "{sentence}, seed {seed}");
    }
    let said =
        done(dir, &[&["edit", "-m", "run", "-q", "--json", "--out", "c"], &prompt[..]].concat());
    let facts = documents(&said);
    assert_eq!(
        (facts.len(), &facts[7]["caption"]),
        (8, &Value::from("a blue bird with a long beak"))
    );
    assert_eq!(fs::read(dir.join("c/edit.png")).unwrap(), fs::read(&edited[8]).unwrap());
    let generate =
        ["generate", "-m", "run", "-q", "-p", "a bird", "--json", "--grid", "--out", "d"];
    assert_eq!(documents(&done(dir, &generate)).len(), 1, "JSON alone");
    assert!(dir.join("d/grid.png").is_file());
}

#[test]
fn alternatives_that_cannot_be_read_are_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let many = "{a,b}".repeat(9);
    for prompt in
        ["a {red bird", "a red} bird", "a {red,} bird", "a {red} bird", "a red bird", "", &many]
    {
        let (code, error) = failed(dir.path(), &["edit", "-m", "none", "-p", prompt]);
        assert_eq!(code, 2, "{prompt}: {error}");
        four_parts(&error, "--prompt");
    }
    let args = ["edit", "-m", "none", "-p", "a {red,blue} bird", "--seeds", "0-999"];
    let (code, error) = failed(dir.path(), &args);
    assert_eq!(code, 2, "{error}");
    four_parts(&error, "2000");
}
