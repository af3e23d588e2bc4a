//! Parquet files of Hugging Face and tars of the `webdataset` package, from files to a trained model.

use std::fs;
use std::path::Path;

use crate::common::{TINY, done, failed, set, stackgan};
use crate::folder::{start, wait_for};

/// Returns the path of a fixture (`fixtures/shards/make.py`).
fn fixture(name: &str) -> String {
    let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/../stackgan-data/tests/fixtures/shards");
    format!("{crates}/{name}")
}

#[test]
fn parquet_files_become_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for name in ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"] {
        let name = format!("{name}.parquet");
        fs::create_dir_all(dir.join("hf/data")).unwrap();
        fs::copy(fixture(&name), dir.join("hf/data").join(name)).unwrap();
    }
    let said = stackgan(dir, &["data", "unpack", "hf", "--out", "own"]).output().unwrap();
    let (out, told) =
        (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(
        out, "own: 12 pictures with 12 captions, 3 classes, split into train, test\n",
        "{told}"
    );
    for part in ["captions from `caption`", "(3 names)", "not used: url", "data check own"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let said = done(dir, &["data", "check", "own"]);
    for part in ["(folder)", "12 files", "captions of 12 pictures", "every picture can be read"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("not used"), "everything that was written is used: {said}");
    done(dir, &["data", "preview", "own", "--output", "sheet.png", "--count", "4"]);
    let listing = fs::read_to_string(dir.join("sheet.txt")).unwrap();
    assert!(listing.contains("test/000000") && listing.contains("a red bird"), "{listing}");
    done(dir, &["data", "import", "own", "-q"]);
    let said = done(dir, &["data", "check", "own/prepared/prepared-76.safetensors"]);
    assert!(said.contains("10 train, 2 test, 12 captions, 3 and 2 classes"), "{said}");
    let train = ["text", "train", "--data", "own", "--steps", "2", "--batch", "2", "-q"];
    done(dir, &[&train[..], &["--out", "e.safetensors"]].concat());
    let mut args = vec!["train", "--stage", "1", "-q", "--data", "own", "--run", "low"];
    args.extend(["--encoder", "e.safetensors", "--set", "optim.steps=2"]);
    args.extend(set(TINY));
    done(dir, &args);
    assert!(dir.join("low").is_dir());
}

#[test]
fn tars_become_a_folder_and_what_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (train, val) = (fixture("birds-train-000000.tar"), fixture("birds-val-000000.tar.gz"));
    let unpack = ["data", "unpack", &train, &val, "--out", "own", "-q"];
    let said = done(dir, &unpack);
    assert_eq!(said, "own: 5 pictures with 8 captions, 2 classes, split into train, val\n");
    assert!(done(dir, &["data", "check", "own"]).contains("every picture can be read"));
    let before = fs::read(dir.join("own/metadata.jsonl")).unwrap();
    let (code, said) = failed(dir, &unpack);
    assert!(code == 2 && said.contains("not unpacked over what is there"), "{code} {said}");
    assert_eq!(fs::read(dir.join("own/metadata.jsonl")).unwrap(), before);
    for (name, code, part) in [
        ("unclear.parquet", 2, "--image COLUMN"),
        ("paths.parquet", 3, "paths of pictures"),
        ("make.py", 3, "no shard"),
        ("none.parquet", 4, "no such file"),
    ] {
        let (found, said) = failed(dir, &["data", "unpack", &fixture(name), "--out", "new", "-q"]);
        assert!(found == code && said.contains(part), "{found} {said}");
        assert!(!dir.join("new").exists());
    }
    assert_eq!(fs::read_dir(dir).unwrap().count(), 1, "nothing else is left");
}

/// A killed command leaves a hidden folder, which the next one removes.
#[test]
fn what_a_killed_command_unpacked_is_removed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::create_dir(dir.join("shards")).unwrap();
    for i in 0..2000 {
        fs::copy(fixture("bytes.parquet"), dir.join(format!("shards/{i:04}.parquet"))).unwrap();
    }
    let unpack = ["data", "unpack", "shards", "--out", "own", "-q"];
    let mut killed = start(dir, &unpack);
    let hidden = |dir: &Path| {
        let names =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".unpack-partial-")).count()
    };
    wait_for("a hidden folder", &mut killed, || hidden(dir) > 0);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(hidden(dir) == 1 && !dir.join("own").exists());
    fs::remove_dir_all(dir.join("shards")).unwrap();
    done(dir, &["data", "unpack", &fixture("bytes.parquet"), "--out", "own", "-q"]);
    assert!(hidden(dir) == 0 && dir.join("own/metadata.jsonl").is_file());
}
