//! Disks that fill up while a file is fetched or unpacked: no file has the final name, the error
//! names the cause, and with more space only the rest is fetched.

use std::fs;
use std::path::{Path, PathBuf};

use stackgan_data::Error;
use stackgan_data::archive::Limits;
use stackgan_data::fetch::manifest::{Item, Then};

use crate::server::{Server, head, honest};
use crate::sets::{FILE, NAME, fetch_all, names, noise, sha256};
use crate::tmpfs::Tmpfs;
use crate::writers::{entry, tgz};

const LENGTH: usize = 600_000;

/// Returns a disk for half a file, and the folder to fetch into; `None` if it cannot be mounted.
fn small(dir: &Path) -> Option<(Tmpfs, PathBuf)> {
    let disk = Tmpfs::mount(&dir.join("disk"), 300);
    if disk.is_none() {
        eprintln!("skipped: a tmpfs cannot be mounted here");
    }
    let into = dir.join("disk/into");
    let disk = disk?;
    fs::create_dir(&into).unwrap();
    Some((disk, into))
}

#[track_caller]
fn is_storage(error: &Error) -> String {
    assert!(matches!(error, Error::Write { .. } | Error::Storage { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("disk/into") && said.contains("do: "), "{said}");
    said
}

/// A known length is checked against the free space before a byte is written.
#[test]
fn a_file_that_cannot_fit_is_refused_before_it_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let Some((_disk, into)) = small(dir.path()) else { return };
    let body = noise(3, LENGTH);
    let (sum, served) = (sha256(&body), body.clone());
    let server = Server::start(move |ask, line| {
        let (head, rest) = honest(ask, &served, Some("\"1\""));
        line.send(head.as_bytes())?;
        line.send(rest)
    });
    let address = format!("{}/{NAME}", server.address);
    // The length is from the manifest, or from the server's answer.
    for size in [Some(LENGTH as u64), None] {
        let item = Item { web: &[&address], size, sha256: Some(&sum), ..FILE };
        let said = is_storage(&fetch_all(&[item], &into, None).0.unwrap_err());
        assert!(said.contains("no room to download"), "{said}");
        assert_eq!(names(&into), [""; 0]);
    }
    assert_eq!(server.asked().len(), 1, "with a size in the manifest nobody is asked");
}

/// A disk fills up in the middle, with and without a known length: a write fails with `ENOSPC`. The
/// received bytes are kept.
#[test]
fn a_disk_that_fills_up_keeps_what_came_and_the_rest_is_fetched() {
    for (case, told) in [("the length is not told", false), ("someone else fills the disk", true)] {
        let dir = tempfile::tempdir().unwrap();
        let Some((disk, into)) = small(dir.path()) else { return };
        let body = noise(4, LENGTH);
        let (sum, served) = (sha256(&body), body.clone());
        let (other, part_of) = (dir.path().join("disk/other"), into.join(format!("{NAME}.part")));
        if told {
            disk.grow(900);
        }
        let server = Server::start(move |ask, line| {
            let (mut start, rest) = honest(ask, &served, Some("\"1\""));
            if !told && ask.range.is_none() {
                start = head(200, "ETag: \"1\""); // the end of the connection is the end of the file
            }
            line.send(start.as_bytes())?;
            line.send(&rest[..100_000])?;
            if told && ask.nth == 0 {
                // Not before the fetch has checked the space and begun to write.
                while part_of.metadata().map_or(0, |part| part.len()) == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                let filled = fs::write(&other, vec![0; 600 << 10]);
                assert!(filled.is_ok(), "{filled:?}");
            }
            line.send(&rest[100_000..])
        });
        let address = format!("{}/{NAME}", server.address);
        let item = Item { web: &[&address], sha256: Some(&sum), ..FILE };
        let said = is_storage(&fetch_all(&[item], &into, None).0.unwrap_err());
        assert!(said.contains("No space left"), "{case}: {said}");
        assert!(!into.join(NAME).exists(), "{case}: half a file under the final name");
        assert_eq!(server.asked().len(), 1, "{case}: a full disk is no fault of the server");
        let part = into.join(format!("{NAME}.part")).metadata().unwrap().len();
        assert!(part > 100_000, "{case}: {part} bytes kept");

        disk.grow(2000);
        fetch_all(&[item], &into, None).0.unwrap();
        assert!(fs::read(into.join(NAME)).unwrap() == body, "{case}: other bytes");
        assert_eq!(names(&into), [NAME], "{case}");
        let asked = server.asked();
        assert_eq!(
            asked.get(1).map(|ask| ask.range),
            Some(Some(part)),
            "{case}: from the beginning"
        );
    }
}

/// An archive fits, but its contents do not: none of them are kept. With more space all of them are
/// unpacked.
#[test]
fn an_archive_that_cannot_be_unpacked_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some((disk, into)) = small(dir.path()) else { return };
    let large = vec![7; 500_000];
    let archive = tgz(&[
        entry(b'5', b"pictures/", b""),
        entry(b'0', b"pictures/list.txt", b"1 a.jpg\n"),
        entry(b'0', b"pictures/a.jpg", &large),
    ]);
    assert!(archive.len() < 100_000);
    let (sum, size) = (sha256(&archive), archive.len() as u64);
    let server = Server::of(vec![("p.tgz", archive)]);
    let address = format!("{}/p.tgz", server.address);
    let item = Item {
        name: "p.tgz",
        web: &[&address],
        size: Some(size),
        sha256: Some(&sum),
        gives: &[&["pictures/list.txt"]],
        then: Then::Unpack(Limits { bytes: 1 << 20, file: 1 << 20, entries: 100 }),
        ..FILE
    };
    let said = is_storage(&fetch_all(&[item], &into, None).0.unwrap_err());
    assert!(!into.join("pictures").exists(), "{said}");
    disk.grow(3000);
    fetch_all(&[item], &into, None).0.unwrap();
    assert!(fs::read(into.join("pictures/a.jpg")).unwrap() == large);
    assert!(
        names(&into).iter().all(|name| name == "pictures" || name == "p.tgz"),
        "{:?}",
        names(&into)
    );
    assert_eq!(server.asked().len(), 1, "the archive was whole already");
}
