//! Malicious archives: each is refused with its reason, nothing is written outside the folder, and
//! nothing is left inside.

use std::fs;
use std::path::Path;

use stackgan_data::archive::{Limits, Unpacked, unpack};
use stackgan_data::{Error, Result};

use crate::sets::{four_parts, noise, sha256};
use crate::writers::{Zipped, entry, gz, pax, sized, tgz, zip};

const LIMITS: Limits = Limits { bytes: 8 << 20, file: 2 << 20, entries: 40 };

/// Unpacks into a separate folder. Afterwards only the archive may be beside it.
fn unpacked(bytes: &[u8]) -> Result<(Unpacked, tempfile::TempDir)> {
    let dir = tempfile::tempdir().unwrap();
    let (archive, inside) = (dir.path().join("archive"), dir.path().join("in"));
    fs::create_dir(&inside).unwrap();
    fs::write(&archive, bytes).unwrap();
    let result = unpack(&archive, &inside, LIMITS, &mut |_| {});
    let list = |folder: &Path| {
        let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(list(dir.path()), ["archive", "in"], "something was written outside");
    assert_eq!(list(&inside).len(), usize::from(result.is_ok()), "something was left");
    result.map(|unpacked| (unpacked, dir))
}

#[track_caller]
fn refused(case: &str, bytes: &[u8], found: &str) {
    let error = match unpacked(bytes) {
        Ok((unpacked, _)) => panic!("{case} was unpacked: {:?}", unpacked.members),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Malformed { .. }), "{case}: {error}");
    let said = four_parts(&error);
    assert!(said.contains(found), "{case}: no `{found}` in {said}");
    assert!(!said.contains('\x1b'), "{case}: {said}");
}

/// Returns names that no entry can have, and the expected reason.
fn names() -> Vec<(Vec<u8>, &'static str)> {
    let text = |names: &[&str], found| -> Vec<(Vec<u8>, &'static str)> {
        names.iter().map(|name| (name.as_bytes().to_vec(), found)).collect()
    };
    [
        text(&["../x", "a/../x", "a/../../x", "..", "a/..", "./../x"], "leaves the folder"),
        text(&["/x", "//x", "/etc/passwd"], "an absolute path"),
        text(
            &["C:x", "C:\\x", "a\\x", "..\\x", "\\\\host\\x", "a\nb", "a\x1b[31m", "a:stream"],
            "backslash, colon or control",
        ),
        text(&["a//x"], "an empty name"),
        text(&["x.", "x ", "a./x", "..."], "ends in a dot or blank"),
        text(&["a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q"], "a path of 17 names"),
        vec![(b"\xff\xfe".to_vec(), "no UTF-8")],
    ]
    .concat()
}

#[test]
fn names_that_lead_elsewhere() {
    for (name, found) in names() {
        let case = String::from_utf8_lossy(&name).into_owned();
        let (ok, bad) = (entry(b'0', b"ok", b"1"), entry(b'0', &name, b"2"));
        refused(&case, &tgz(&[ok.clone(), bad.clone()]), found);
        refused(&case, &tgz(&[bad, ok.clone()]), found);
        // The same with the two other ways in which tar names an entry, and for a folder.
        let long = [entry(b'L', b"././@LongLink", &[&name[..], b"\0"].concat()), ok.clone()];
        refused(&case, &tgz(&long), found);
        if let Some(text) = std::str::from_utf8(&name).ok().filter(|name| !name.contains('\n')) {
            refused(&case, &tgz(&[pax(b'x', &[("path", text)]), ok.clone()]), found);
        }
        refused(&case, &tgz(&[entry(b'5', &name, b"")]), found);
        let zips = [Zipped::new(b"ok", b"1"), Zipped::new(&name, b"2")];
        let error = unpacked(&zip(&zips)).expect_err(&case);
        assert!(matches!(error, Error::Malformed { .. }), "{case}: {error}");
    }
    refused(
        "long",
        &tgz(&[pax(b'x', &[("path", &"x".repeat(256))]), entry(b'0', b"a", b"")]),
        "256",
    );
}

#[test]
fn kinds_that_are_no_files() {
    let ok = || entry(b'0', b"ok", b"1");
    for (kind, found) in [
        (b'1', "Link"),
        (b'2', "Symlink"),
        (b'3', "Char"),
        (b'4', "Block"),
        (b'6', "Fifo"),
        (b'7', "Continuous"),
        (b'S', "GNUSparse"),
        (b'K', "GNULongLink"),
        (b'g', "XGlobalHeader"),
        (b'V', "kind"),
        (b'M', "kind"),
        (b'\xf0', "kind"),
    ] {
        let case = char::from(kind).to_string();
        // Alone, before and after a file with the same name, and as a folder through which a file
        // would be written (CVE-2026-33056, RUSTSEC-2021-0080).
        refused(&case, &tgz(&[ok(), entry(kind, b"x", b"")]), found);
        refused(&case, &tgz(&[entry(kind, b"x", b""), entry(b'0', b"x", b"1")]), found);
        refused(&case, &tgz(&[entry(b'0', b"x", b"1"), entry(kind, b"x", b"")]), found);
        refused(&case, &tgz(&[entry(kind, b"x", b""), entry(b'0', b"x/y", b"1")]), found);
    }
    let linked = [pax(b'x', &[("linkpath", "/etc/passwd")]), ok()];
    refused("linkpath", &tgz(&linked), "a link");
    refused("holes", &tgz(&[pax(b'x', &[("GNU.sparse.major", "1")]), ok()]), "holes");
    for mode in [0o120_777, 0o020_666, 0o060_666, 0o010_644, 0o140_777, 0o040_755] {
        let odd = Zipped { mode, ..Zipped::stored(b"x", b"/etc/passwd") };
        refused("mode", &zip(&[odd]), "mode");
    }
    refused("encrypted", &zip(&[Zipped { flags: 1, ..Zipped::new(b"x", b"1") }]), "encrypted");
    refused("packed oddly", &zip(&[Zipped { method: 12, ..Zipped::new(b"x", b"1") }]), "packed by");
}

#[test]
fn names_that_come_twice() {
    for (a, b, found) in [
        (&b"x"[..], &b"x"[..], "twice"),
        (b"x", b"X", "twice"),
        (b"a/x", b"A/y", "differ in case"),
        (b"x", b"x/y", "a file and a folder"),
        (b"a/x", b"a", "twice"),
        (b"./x", b"x", "twice"),
    ] {
        let case = String::from_utf8_lossy(b);
        refused(&case, &tgz(&[entry(b'0', a, b"1"), entry(b'0', b, b"2")]), found);
        let error = unpacked(&zip(&[Zipped::new(a, b"1"), Zipped::new(b, b"2")])).expect_err(&case);
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    refused("folder", &tgz(&[entry(b'5', b"x", b""), entry(b'0', b"x", b"")]), "twice");
    refused(
        "two names",
        &tgz(&[entry(b'L', b"l", b"a\0"), pax(b'x', &[("path", "b")])]),
        "two names",
    );
}

#[test]
fn headers_that_contradict_each_other() {
    let ok = || entry(b'0', b"ok", b"1");
    // The form of TARmageddon: a pax size that hides entries from readers that ignore it.
    let hidden = [pax(b'x', &[("size", "1024")]), sized(b'0', b"x", 0, b""), ok()];
    refused("pax size", &tgz(&hidden), "differ in its size");
    refused("pax size that is none", &tgz(&[pax(b'x', &[("size", "-1")]), ok()]), "a size");
    refused("header alone", &tgz(&[ok(), pax(b'x', &[("path", "y")])]), "without its entry");
    refused("folder with contents", &tgz(&[entry(b'5', b"d", b"1")]), "contents");
    refused("file as a folder", &tgz(&[entry(b'0', b"d/", b"1")]), "name of a folder");
    refused("long header", &tgz(&[entry(b'x', b"p", &vec![b'1'; 70_000]), ok()]), "70000 bytes");
    let behind = [ok(), vec![0; 1024], entry(b'0', b"behind", b"2")];
    refused("behind the end", &gz(&behind.concat()), "after the end");
    let whole = tgz(&[entry(b'0', b"a", &noise(1, 5_000))]);
    refused("gzip and more", &[&whole[..], b"more"].concat(), "damaged");
    let mut flipped = whole;
    let at = flipped.len() - 6;
    flipped[at] ^= 1; // gzip's checksum
    refused("checksum", &flipped, "damaged");

    let one = || Zipped::new(b"x", b"contents");
    let renamed = Zipped { names: [b"x".to_vec(), b"y".to_vec()], ..one() };
    refused("zip names", &zip(&[renamed]), "damaged");
    refused("zip CRC", &zip(&[Zipped { crc: 1, ..one() }]), "CRC-32");
    refused("zip length, less", &zip(&[Zipped { size: 4, ..one() }]), "more than the 4 bytes");
    refused("zip length, more", &zip(&[Zipped { size: 12, ..one() }]), "where it claims 12");
    refused(
        "zip stored length",
        &zip(&[Zipped { size: 3, ..Zipped::stored(b"x", b"12345") }]),
        "3",
    );
    let packed = [one().packed, b"behind".to_vec()].concat();
    refused("zip packed length", &zip(&[Zipped { packed, ..one() }]), "CRC-32");
    let second = Zipped { names: [b"x".to_vec(), b"x".to_vec()], shift: -47, ..one() };
    refused("zip overlap", &zip(&[one(), second]), "damaged");
    refused("zip and before", &[b"before".to_vec(), zip(&[one()])].concat(), "archive");
    refused("zip and behind", &[zip(&[one()]), b"behind".to_vec()].concat(), "damaged");
    let folder = Zipped { mode: 0o040_755, ..Zipped::stored(b"d/", b"1") };
    refused("zip folder with contents", &zip(&[folder]), "contents");
}

#[test]
fn bombs() {
    let zeros = vec![0; 2 << 20];
    // 2 MiB of zeros compress to 9 kB: far more than the ratio of twenty to one.
    refused("ratio, tar", &tgz(&[entry(b'0', b"x", &zeros)]), "are the most");
    refused("ratio, zip", &zip(&[Zipped::new(b"x", &zeros)]), "are the most");
    let (a, b) = (noise(1, 1_500_000), noise(2, 3_000_000));
    refused("one file", &tgz(&[entry(b'0', b"x", &a), entry(b'0', b"y", &b)]), "3000000 bytes");
    let parts: Vec<Vec<u8>> =
        (0..7).map(|i: u8| entry(b'0', &[b'a' + i], &noise(u64::from(i), 1_500_000))).collect();
    refused("sum", &tgz(&parts), "are the most");
    let many: Vec<Vec<u8>> = (0..41).map(|i| entry(b'0', format!("{i}").as_bytes(), b"")).collect();
    refused("entries, tar", &tgz(&many), "more than 40 entries");
    let many: Vec<Zipped> = (0..41).map(|i| Zipped::new(format!("{i}").as_bytes(), b"")).collect();
    refused("entries, zip", &zip(&many), "more than 40 entries");
    let headers: Vec<Vec<u8>> = (0..200).map(|_| pax(b'x', &[("mtime", "1")])).collect();
    refused("headers", &tgz(&headers), "more than 40 entries");
    refused("claims", &tgz(&[sized(b'0', b"x", 1 << 32, b"")]), "4294967296 bytes");
    // The end is followed by endless zeros, a megabyte of them per kilobyte.
    let mut endless = entry(b'0', b"x", b"1");
    endless.resize(20 << 20, 0);
    refused("zeros", &gz(&endless), "endless zeros");
}

#[test]
fn every_cut_and_many_flipped_bits_are_noticed_or_harmless() {
    let files = [("a/b.txt", noise(1, 1_500)), ("a/c.txt", b"hello".to_vec())];
    let tar: Vec<Vec<u8>> = files.iter().map(|(n, c)| entry(b'0', n.as_bytes(), c)).collect();
    let zipped: Vec<Zipped> = files.iter().map(|(n, c)| Zipped::new(n.as_bytes(), c)).collect();
    for whole in [tgz(&tar), zip(&zipped)] {
        for end in (0..whole.len()).step_by(11) {
            assert!(unpacked(&whole[..end]).is_err(), "cut at {end} of {}", whole.len());
        }
        for at in (0..whole.len()).step_by(9) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            let Ok((unpacked, _dir)) = unpacked(&flipped) else { continue };
            for (member, (_, contents)) in unpacked.members.iter().zip(&files) {
                assert_eq!(member.sha256, sha256(contents), "bit {} of byte {at}", at % 8);
            }
        }
    }
}

#[test]
fn honest_archives_come_out_whole() {
    let long = format!("a/{}", "n".repeat(150));
    let tar = [
        entry(b'5', b"./", b""),
        entry(b'5', b"a/", b""),
        entry(b'0', b"./a/b.txt", b"one"),
        entry(b'L', b"././@LongLink", format!("{long}\0").as_bytes()),
        entry(b'0', b"a/cut", b"two"),
        pax(b'x', &[("mtime", "1.5"), ("path", "a/\u{fc}.txt"), ("size", "5")]),
        entry(b'0', b"a/u.txt", b"three"),
        entry(b'5', b"a", b""),
        entry(b'\0', b"old", &noise(3, 70_000)),
    ];
    let mut folder = Zipped { mode: 0o040_755, ..Zipped::stored(b"a/", b"") };
    folder.flags = 0;
    let zipped = [
        folder,
        Zipped::new(b"a/b.txt", b"one"),
        Zipped::stored(long.as_bytes(), b"two"),
        Zipped::new("a/\u{fc}.txt".as_bytes(), b"three"),
        Zipped { mode: 0, ..Zipped::new(b"old", &noise(3, 70_000)) },
    ];
    let padded = [tar.concat(), vec![0; 10_240]].concat();
    let two_members = [gz(&padded[..700]), gz(&padded[700..])].concat();
    for bytes in [tgz(&tar), gz(&tar.concat()), two_members, padded, zip(&zipped)] {
        let (unpacked, _dir) = unpacked(&bytes).unwrap();
        let found: Vec<(&str, u64)> =
            unpacked.members.iter().map(|m| (m.path.as_str(), m.bytes)).collect();
        let expected = [("a/b.txt", 3), (&long, 3), ("a/\u{fc}.txt", 5), ("old", 70_000)];
        assert_eq!(found, expected);
        for member in &unpacked.members {
            let path = unpacked.folder.path().join(&member.path);
            assert_eq!(sha256(&fs::read(&path).unwrap()), member.sha256);
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7111, 0);
            }
        }
    }
    // A plain tar has no checksum: without its end mark a part of it may be missing.
    refused("without its end", &tar.concat(), "no end mark");
    assert!(unpacked(b"not an archive").unwrap_err().to_string().contains("this is no archive"));
}
