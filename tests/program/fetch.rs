//! `stackgan data fetch` with a server on this machine: killed at any moment, it can be continued;
//! and the exit codes of errors.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use stackgan_core::digest::sha256;

use crate::common::{WORLD, done, failed};
use crate::errors::four_parts;
use crate::folder::{start, wait_for};
use crate::server::{Server, head, honest};
use crate::writers::{Zipped, zip};

/// Number of kills while the file is downloaded, and afterwards while it is unpacked and imported.
const KILLS: usize = 30;
const LATER: u64 = 8;

/// Returns pseudo-random bytes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn files(root: &Path, below: &str, into: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            files(root, &name, into);
        } else {
            into.push((name, entry.path()));
        }
    }
}

/// Returns an archive of the toy birds like the authors' one, with something large in it.
fn birds_zip() -> Vec<u8> {
    let mut members = Vec::new();
    for part in ["train", "test", "text"] {
        files(&WORLD.birds(), part, &mut members);
    }
    let mut entries: Vec<Zipped> = members
        .iter()
        .map(|(name, path)| {
            Zipped::new(format!("birds/{name}").as_bytes(), &fs::read(path).unwrap())
        })
        .collect();
    entries.push(Zipped::stored(b"birds/train/large.bin", &noise(6 << 20)));
    zip(&entries)
}

/// Writes a folder into which a person has unpacked the pictures.
fn with_pictures(dir: &Path) {
    let mut members = Vec::new();
    files(&WORLD.birds(), "CUB_200_2011", &mut members);
    for (name, path) in members {
        let place = dir.join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(path, place).unwrap();
    }
}

fn spawn(dir: &Path, mirror: &str) -> Child {
    start(dir, &["data", "fetch", "cub", "--from", mirror])
}

/// Returns the names in a folder that begin with `prefix`.
fn named(folder: &Path, prefix: &str) -> Vec<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names.filter(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes())).collect()
}

/// Kills the program once `seen` returns true, unless it has ended before anybody looked, as it may on
/// a busy machine.
fn kill_when(mut child: Child, seen: impl Fn() -> bool) {
    let started = Instant::now();
    while !seen() {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        if started.elapsed() > Duration::from_secs(60) {
            drop(child.kill());
            panic!("waited a minute");
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

/// Kills the program while it unpacks, moves and imports: four times when it has begun to unpack, once
/// when the first folder has its name, and three times when it has begun to import.
fn kill_later(cub: &Path, begin: impl Fn() -> Child, check: impl Fn()) {
    let (own, prepared) = (cub.join(".fetched"), cub.join("prepared"));
    let unpacking = || named(&own, "unpacking-");
    let importing = || named(&prepared, ".tmp-");
    let moved = || cub.join("train").exists();
    let mut halves = [0; 2]; // kills that left a half folder, and half a file
    let mut missed = false; // everything was unpacked before anybody looked
    for n in 0..LATER {
        let left = [unpacking(), importing()];
        let is_new = |name: &OsString| !left.iter().flatten().any(|old| old == name);
        match n {
            0..4 => kill_when(begin(), || moved() || unpacking().iter().any(is_new)),
            4 => kill_when(begin(), moved),
            _ => {
                let _ = fs::remove_dir_all(&prepared); // absent until something is imported
                kill_when(begin(), || importing().iter().any(is_new));
            }
        }
        missed |= n == 0 && moved();
        check();
        halves[0] += usize::from(unpacking().iter().any(is_new));
        halves[1] += usize::from(importing().iter().any(is_new));
    }
    assert!((halves[0] > 0 || missed) && halves[1] > 0, "{halves:?}");
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |facts| facts.len())
}

#[test]
fn thirty_kills_end_with_the_right_file_and_the_folder_imported() {
    let dir = tempfile::tempdir().unwrap();
    let cub = dir.path().join("data/cub");
    with_pictures(&cub);
    let body = birds_zip();
    let sum = sha256(&body);
    let sums = format!("{sum}  birds.zip\n").into_bytes();
    let served = body;
    let server = Server::start(move |ask, line| {
        let body = match ask.path.as_str() {
            "/birds.zip" => &served,
            "/SHA256SUMS" => &sums,
            _ => return line.send(head(404, "Content-Length: 0").as_bytes()),
        };
        let (head, rest) = honest(ask, body, Some("\"1\""));
        line.send(head.as_bytes())?;
        for piece in rest.chunks(16 << 10) {
            line.send(piece)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    let (file, part) = (cub.join("birds.zip"), cub.join("birds.zip.part"));
    let mut left = Vec::new(); // what each kill left
    let steps = noise(KILLS);
    for step in &steps {
        let before = length(&part);
        let enough = before + 1 + u64::from(*step) * 700; // at most 180 kB more
        let mut child = spawn(dir.path(), &server.address);
        wait_for("more bytes", &mut child, || length(&part) >= enough);
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        assert!(!file.exists() && !cub.join("train").exists());
        left.push(length(&part));
    }
    // Each process requested only the bytes that were missing, and none twice.
    let ranges: Vec<u64> = server.asked().iter().filter_map(|ask| ask.range).collect();
    assert_eq!(ranges, left[..KILLS - 1]);
    // Now the file may be completed.
    kill_later(
        &cub,
        || spawn(dir.path(), &server.address),
        || {
            assert!(sha256(&fs::read(&file).unwrap()) == sum, "the file is not whole");
            let train = cub.join("train");
            let whole = length(&train.join("large.bin")) == 6 << 20;
            assert!(whole || !train.exists(), "half a folder");
        },
    );
    let mirror = server.address.as_str();
    let said = done(dir.path(), &["data", "fetch", "cub", "--from", mirror, "--size", "76", "-q"]);
    assert!(said.contains("prepared-76.safetensors"), "{said}");
    assert!(done(dir.path(), &["data", "check", "data/cub", "-q"]).contains("everything"));
    let said = done(dir.path(), &["data", "fetch", "cub", "--verify", "-q"]);
    assert!(said.contains("birds.zip: ") && said.contains("as put there"), "{said}");
    let own: Vec<_> = fs::read_dir(cub.join(".fetched")).unwrap().flatten().collect();
    assert_eq!(own.len(), 2, "the lock and one record: {own:?}");
    assert!(named(&cub.join("prepared"), ".tmp-").is_empty(), "something half written");
}

#[test]
fn what_can_go_wrong_has_its_code_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    fs::write(make("wrong").join("102flowers.tgz"), "no flowers").unwrap();
    let evil = zip(&[Zipped::new(b"../../evil", b"evil")]);
    with_pictures(&make("evil"));
    fs::write(make("evil").join("birds.zip"), evil).unwrap();
    with_pictures(&make("pictures"));
    fs::write(dir.path().join("file"), "in the way").unwrap();
    let none = Server::of(Vec::new());
    let page = Server::start(|_, line| {
        line.send(head(200, "Content-Type: text/html").as_bytes())?;
        line.send(b"<!doctype html><title>Please log in</title>")
    });
    let cases: [(i32, &[&str], &str); 8] = [
        (2, &["cub", "--from", "ftp://example.org"], "http://"),
        (3, &["oxford", "--from", "wrong"], "102flowers.tgz is not the published file"),
        (3, &["cub", "--from", "evil", "--into", "a"], "leaves the folder"),
        (4, &["cub", "--from", "pictures", "--into", "b"], "resourcekey=0-sZrhftoEfdvHq6MweAeCjA"),
        (4, &["coco", "--from", &none.address], "404: no such file"),
        (4, &["oxford", "--from", &page.address], "a web page, \"Please log in\""),
        (4, &["coco", "--verify"], "stackgan data fetch coco"),
        (6, &["cub", "--into", "file/in/the/way", "--from", "pictures"], "file/in/the/way"),
    ];
    for (expected, args, place) in cases {
        let args = [&["data", "fetch"], args, &["-q"]].concat();
        let (code, error) = failed(dir.path(), &args);
        assert_eq!(code, expected, "{args:?}: {error}");
        if expected != 6 {
            four_parts(&error, place);
        }
        assert!(error.contains("do: ") && error.contains(place), "{error}");
    }
    assert!(!dir.path().join("evil/evil").exists() && !dir.path().join("a/train").exists());
    // Without -q the files are listed with all their addresses, ready to be opened.
    let (_, said) =
        failed(dir.path(), &["data", "fetch", "cub", "--from", "pictures", "--into", "b"]);
    assert!(said.contains("\n  save as: b/birds.zip\n"), "{said}");
}

/// What is fetched without the release's lists is imported; training is only proposed if it can work.
#[test]
fn the_next_command_is_training_only_if_the_folder_can_be_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let fetched = |from: &Path, into: &str| {
        let from = from.display().to_string();
        let fetch = ["data", "fetch", "cub", "--size", "76", "--from", &from, "--into", into];
        let (code, said) = failed(dir.path(), &fetch);
        assert_eq!(code, 0, "{said}");
        said
    };
    let said = fetched(&WORLD.birds(), "whole");
    assert!(said.contains("next: stackgan text train --data whole"), "{said}");
    let picture = WORLD.birds().join("CUB_200_2011/images");
    let picture = fs::read_dir(picture).unwrap().next().unwrap().unwrap().path();
    let picture = fs::read_dir(picture).unwrap().next().unwrap().unwrap().path();
    let one = dir.path().join("one");
    let place = |name: &str| {
        let path = one.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let (mut list, mut boxes) = (String::new(), String::new());
    for n in 1..=3 {
        list += &format!("{n} 002.B/{n}.jpg\n");
        boxes += &format!("{n} 2 2 20 20\n");
        fs::copy(&picture, place(&format!("CUB_200_2011/images/002.B/{n}.jpg"))).unwrap();
        fs::write(place(&format!("text/002.B/{n}.txt")), "a bird\n").unwrap();
    }
    fs::write(place("CUB_200_2011/images.txt"), list).unwrap();
    fs::write(place("CUB_200_2011/bounding_boxes.txt"), boxes).unwrap();
    let said = fetched(&one, "few");
    for part in [
        "the 50 classes for testing",
        "WARNING: the residual recipe cannot",
        "next: stackgan data check few",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("train --"), "{said}");
}
