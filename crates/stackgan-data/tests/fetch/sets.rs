//! Small datasets for tests: one file that is stored, with known facts.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stackgan_data::fetch::manifest::{Item, Set, Then};
use stackgan_data::fetch::{Event, Mirror, Patience, Report, Request, fetch};
use stackgan_data::layouts::Kind;
use stackgan_data::noise::{Noise, Stream};
use stackgan_data::{Error, Result};

/// Waits milliseconds where users wait seconds.
pub(crate) const HASTE: Patience = Patience {
    connect: Duration::from_secs(5),
    stall: Duration::from_millis(400),
    slowest: 1024,
    tries: 4,
    progress: 1,
    pause: Duration::from_millis(1),
};

/// The name of the one file.
pub(crate) const NAME: &str = "f.bin";

pub(crate) const FILE: Item<'static> = Item {
    name: NAME,
    what: "a file",
    web: &[],
    by_hand: &["https://example.org/by-hand"],
    size: None,
    most: 1 << 21,
    sha256: None,
    gives: &[&[NAME]],
    also: &[],
    then: Then::Keep,
};

pub(crate) fn set<'a>(items: &'a [Item<'a>]) -> Set<'a> {
    let pictures: (&[&str], u64) = (&["pictures"], 3);
    Set { name: "cub", title: "A set", edition: "1", kind: Kind::Cub, pictures, items }
}

/// Fetches, and returns the result and all events.
pub(crate) fn fetch_all(
    items: &[Item<'_>],
    into: &Path,
    from: Option<&Mirror>,
) -> (Result<Report>, Vec<Event>) {
    let mut events = Vec::new();
    let set = set(items);
    let request = Request { set: &set, into, from, patience: HASTE };
    let report = fetch(&request, &mut |event| events.push(event.clone()));
    (report, events)
}

/// Fetches one file from `addresses`.
pub(crate) fn fetch_file(file: Item<'_>, addresses: &[&str], into: &Path) -> Result<Report> {
    fetch_all(&[Item { web: addresses, ..file }], into, None).0
}

/// Returns random bytes.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut draws = Noise::new(seed).draws(Stream::Test, 0, 0);
    (0..length).map(|_| draws.below(256) as u8).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the names in a folder, without the folder of records.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != ".fetched").collect();
    names.sort();
    names
}

/// Writes files that contain their names.
pub(crate) fn put(folder: &Path, names: &[&str]) {
    for name in names {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
}

/// What was told on the way, with the slashes of Unix.
pub(crate) fn notes(events: &[Event]) -> String {
    let notes = events.iter().filter_map(|event| match event {
        Event::Note(note) => Some(note.replace('\\', "/")),
        _ => None,
    });
    notes.collect::<Vec<_>>().join("\n")
}

/// Returns an error's text. Asserts that it contains the problem, the place, the expected and found
/// values and a remedy.
#[track_caller]
pub(crate) fn four_parts(error: &Error) -> String {
    let said = error.to_string();
    for part in ["\n  ", "expected ", "found ", "\n  do: "] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    said
}
