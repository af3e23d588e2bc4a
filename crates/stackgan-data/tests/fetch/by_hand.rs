//! Archives that a person unpacked into folders of their names.

use std::fs;

use stackgan_data::archive::Limits;
use stackgan_data::fetch::Mirror;
use stackgan_data::fetch::manifest::{Item, Then};

use crate::sets::{FILE, NAME, fetch_all, names, notes, put};

const UNPACK: Then = Then::Unpack(Limits { bytes: 1 << 20, file: 1 << 20, entries: 100 });

/// Captions that only a person can download, with lists that are not needed.
const BIRDS: Item<'static> = Item {
    name: "birds.zip",
    what: "captions",
    gives: &[&["text", "text_c10"]],
    also: &["train", "test"],
    then: UNPACK,
    ..FILE
};

/// The folder is copied and stays: a person put it there.
#[test]
fn an_archive_unpacked_beside_the_rest_is_taken() {
    for below in ["birds", "birds/birds"] {
        let dir = tempfile::tempdir().unwrap();
        let parts = ["text/001.A/a.txt", "train/filenames.pickle", "notes/mine.txt"];
        let there = parts.map(|part| format!("{below}/{part}"));
        put(dir.path(), &there.each_ref().map(String::as_str));
        let (report, events) = fetch_all(&[BIRDS], dir.path(), None);
        assert!(report.unwrap().by_hand.is_empty(), "{below}");
        let said = notes(&events);
        assert!(said.contains("birds.zip: lies unpacked in ") && said.contains(below), "{said}");
        assert_eq!(names(dir.path()), ["birds", "text", "train"], "{below}");
        let copied = fs::read_to_string(dir.path().join("text/001.A/a.txt")).unwrap();
        assert_eq!(copied, there[0]);
        assert!(there.iter().all(|name| dir.path().join(name).is_file()), "{below}");
        let (report, events) = fetch_all(&[BIRDS], dir.path(), None);
        assert!(report.unwrap().by_hand.is_empty(), "{below}");
        assert_eq!(notes(&events), "birds.zip: is there already");
    }
}

#[test]
fn a_folder_to_fetch_from_may_have_archives_unpacked_by_hand() {
    let pictures = Item {
        name: "pictures.tgz",
        web: &["http://127.0.0.1:9/pictures.tgz"],
        gives: &[&["images/list.txt"]],
        then: UNPACK,
        ..FILE
    };
    let (from, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(from.path(), &["birds/birds/text_c10/a.txt", "pictures/images/list.txt"]);
    let from = Mirror::Folder(from.path().to_path_buf());
    let (report, _) = fetch_all(&[pictures, BIRDS], dir.path(), Some(&from));
    assert!(report.unwrap().by_hand.is_empty());
    assert_eq!(names(dir.path()), ["images", "text_c10"]);
}

/// What was asked for comes first: the folder may be from an unpacking that was broken off.
#[test]
fn a_whole_archive_is_taken_before_a_folder() {
    let (from, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(dir.path(), &["birds/text/cut.txt"]);
    put(from.path(), &["text/a.txt"]);
    let from = Mirror::Folder(from.path().to_path_buf());
    let (report, events) = fetch_all(&[BIRDS], dir.path(), Some(&from));
    assert!(report.unwrap().by_hand.is_empty());
    assert_eq!(names(&dir.path().join("text")), ["a.txt"]);
    assert!(!notes(&events).contains("lies unpacked"), "{}", notes(&events));
}

/// As `AttnGAN`'s archive is, when only the outer one was unpacked.
#[test]
fn an_archive_in_the_unpacked_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &["birds/text.zip", "birds/train/filenames.pickle"]);
    let (report, events) = fetch_all(&[BIRDS], dir.path(), None);
    assert_eq!(report.unwrap().by_hand.len(), 1);
    let said = notes(&events);
    assert!(said.contains("birds/text.zip in it does not: unpack it there"), "{said}");
    put(dir.path(), &["birds/text/001.A/a.txt"]);
    let (report, _) = fetch_all(&[BIRDS], dir.path(), None);
    assert!(report.unwrap().by_hand.is_empty());
}

/// Captions of flowers have the same names, and a folder without captions is not whole.
#[test]
fn other_folders_are_not_taken_for_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &["flowers/text/a.txt", "birds/train/filenames.pickle", "f/f.bin"]);
    let before = names(dir.path());
    let (report, _) = fetch_all(&[BIRDS, FILE], dir.path(), None);
    let by_hand: Vec<String> = report.unwrap().by_hand.into_iter().map(|file| file.name).collect();
    assert_eq!(by_hand, ["birds.zip", NAME]);
    assert_eq!(names(dir.path()), before);
}
