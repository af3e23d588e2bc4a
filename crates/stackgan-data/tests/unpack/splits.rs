//! The split of shards, by their names.

use std::fs;
use std::path::PathBuf;

use stackgan_data::prepared::Damaged;
use stackgan_data::unpack::Columns;

use crate::{fixture, into, turn};

/// Returns the splits of the fixture of two rows under these names, in one folder.
fn splits(names: &[&str]) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    for name in names {
        let path = source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(fixture("test-00000-of-00001.parquet"), path).unwrap();
    }
    let columns = Columns::default();
    let report = into(&dir.path().join("out"), &[source], &columns, Damaged::Refuse);
    report.map(|report| report.splits).map_err(|e| e.to_string())
}

#[test]
fn names_of_files_and_folders_tell_the_split() {
    let _turn = turn();
    let found = |names: &[&str]| splits(names).unwrap();
    assert_eq!(found(&["train-00000-of-00002.parquet", "test.parquet"]), ["train", "test"]);
    assert_eq!(
        found(&["default/train/0.parquet", "default/Validation/0.parquet"]),
        ["train", "validation"]
    );
    assert_eq!(found(&["train/0.parquet", "test.parquet"]), ["train", "test"]);
    assert_eq!(
        found(&["test/test_0.parquet", "test/0.parquet", "train.parquet"]),
        ["train", "test"]
    );
    assert_eq!(found(&["train/0.parquet", "train/1.parquet"]), [""; 0]);
    assert_eq!(found(&["test/0.parquet", "val/1.parquet"]), [""; 0]);
    assert_eq!(found(&["strain/0.parquet", "contest.parquet"]), [""; 0]);
    assert_eq!(found(&["train-test/0.parquet"]), [""; 0]);
    // Nor does the name of a folder around files of another split tell anything.
    for names in [
        ["train.parquet", "more.parquet"],
        ["test/train-0.parquet", "test/more.parquet"],
        ["train/test/train-0.parquet", "train/test/more.parquet"],
    ] {
        let said = splits(&names).unwrap_err();
        assert!(said.contains("tell their split") && said.contains("more.parquet"), "{said}");
    }
}

#[test]
fn a_source_is_found_once_and_of_a_known_kind() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let said = |sources: &[PathBuf]| {
        let result = into(&dir.path().join("out"), sources, &Columns::default(), Damaged::Refuse);
        result.unwrap_err().to_string()
    };
    let file = fixture("lists-zstd.parquet");
    assert!(said(&[file.clone(), file.clone()]).contains("named twice"));
    assert!(said(&[fixture("none.parquet")]).contains("no such file"));
    assert!(said(&[fixture("make.py")]).contains("no shard"));
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert!(said(&[dir.path().join("empty")]).contains("no shards"));
    // What is there stays, and is said before anything is read.
    fs::create_dir(dir.path().join("out")).unwrap();
    fs::write(dir.path().join("out/mine"), "mine").unwrap();
    assert!(said(std::slice::from_ref(&file)).contains("not unpacked over what is there"));
    fs::remove_file(dir.path().join("out/mine")).unwrap();
    into(&dir.path().join("out"), &[file], &Columns::default(), Damaged::Refuse).unwrap();
    assert!(dir.path().join("out/metadata.jsonl").is_file());
    assert_eq!(dir.path().join("out").read_dir().unwrap().count(), 3);
}
