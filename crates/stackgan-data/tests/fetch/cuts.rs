//! Connections that end anywhere: the file is complete in the end, and hardly a byte is sent twice.

use std::fs;
use std::io;

use stackgan_data::fetch::manifest::Item;
use stackgan_data::fetch::{Patience, Request, fetch};
use stackgan_data::noise::{Noise, Stream};

use crate::server::{Server, honest};
use crate::sets::{FILE, HASTE, NAME, fetch_file, names, noise, set, sha256};

/// Number of files, length of each in bytes, and number of broken connections for each.
const FILES: u64 = 8;
const LENGTH: usize = 1 << 20;
const CUTS: usize = 15;

#[test]
fn a_hundred_and_twenty_cuts_end_with_the_right_hash() {
    for seed in 0..FILES {
        let body = noise(seed, LENGTH);
        let sum = sha256(&body);
        let etag = (seed % 2 == 0).then_some("\"e\""); // with and without something for If-Range
        let served = body.clone();
        let server = Server::start(move |ask, line| {
            let (head, rest) = honest(ask, &served, etag);
            let mut draws = Noise::new(seed).draws(Stream::Test, 1, ask.nth as u64);
            let share = rest.len() / 4;
            match (ask.nth, draws.below(8)) {
                (CUTS.., _) => {
                    line.send(head.as_bytes())?;
                    line.send(rest)
                }
                (_, 0) => line.send(&head.as_bytes()[..draws.below(head.len() as u64) as usize]),
                (_, 1) => Err(io::Error::other("not a byte")),
                _ => {
                    line.send(head.as_bytes())?;
                    line.send(&rest[..draws.below(share as u64 + 1) as usize])
                }
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let (size, hash) = (Some(LENGTH as u64), Some(sum.as_str()));
        let address = format!("{}/{NAME}", server.address);
        let items = [Item { size, sha256: hash, web: &[&address], ..FILE }];
        let patience = Patience { tries: 20, ..HASTE }; // some cuts in a row bring nothing
        let request = Request { set: &set(&items), into: dir.path(), from: None, patience };
        fetch(&request, &mut |_| {}).unwrap();
        assert_eq!(sha256(&fs::read(dir.path().join(NAME)).unwrap()), sum);
        assert_eq!(names(dir.path()), [NAME], "the part and its origin are gone");
        let asked = server.asked();
        assert_eq!(asked.len(), CUTS + 1, "seed {seed}");
        let again = server.sent() as f64 / LENGTH as f64;
        assert!(again < 1.10, "{again:.2} of the file was sent");
        assert!(asked.iter().skip(3).any(|ask| ask.range.is_some()));
        assert_eq!(asked.iter().any(|ask| ask.if_range.is_some()), etag.is_some());
    }
}

#[test]
fn a_file_without_a_known_hash_goes_on_only_with_the_same_file() {
    // Without a tag or a date nothing guarantees that the rest belongs to the same file, so each
    // try begins again.
    for (etag, ranges) in [(None, 0), (Some("W/\"weak\""), 0), (Some("\"strong\""), 1)] {
        let body = noise(9, 100_000);
        let served = body.clone();
        let server = Server::start(move |ask, line| {
            let (head, rest) = honest(ask, &served, etag);
            line.send(head.as_bytes())?;
            line.send(if ask.nth == 0 { &rest[..50_000] } else { rest })
        });
        let dir = tempfile::tempdir().unwrap();
        fetch_file(FILE, &[&format!("{}/{NAME}", server.address)], dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), body);
        let asked = server.asked();
        assert_eq!(asked.iter().filter(|ask| ask.range.is_some()).count(), ranges, "{etag:?}");
    }
}
