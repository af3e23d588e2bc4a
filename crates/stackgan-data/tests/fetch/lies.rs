//! Servers that send wrong data, redirect in circles, send slowly, change their answers, or send
//! something else. The result is the right file or an error, never another file with its name.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use stackgan_data::fetch::manifest::Item;
use stackgan_data::fetch::{Doing, Event, Mirror};
use stackgan_data::{Error, Result};

use crate::server::{Ask, Line, Server, head, honest};
use crate::sets::{FILE, NAME, fetch_all, fetch_file, four_parts, names, noise, sha256};

const LENGTH: usize = 60_000;

fn body() -> Vec<u8> {
    noise(1, LENGTH)
}

/// Returns the file as in the manifest.
fn pinned(sum: &str) -> Item<'_> {
    Item { size: Some(LENGTH as u64), sha256: Some(sum), ..FILE }
}

fn url(server: &Server) -> String {
    format!("{}/{NAME}", server.address)
}

fn serving(answer: fn(&Ask, &mut Line, &[u8]) -> std::io::Result<()>) -> Server {
    let body = body();
    Server::start(move |ask, line| answer(ask, line, &body))
}

fn well(ask: &Ask, line: &mut Line, body: &[u8]) -> std::io::Result<()> {
    let (head, rest) = honest(ask, body, Some("\"1\""));
    line.send(head.as_bytes())?;
    line.send(rest)
}

fn has_right_file(dir: &Path) -> bool {
    fs::read(dir.join(NAME)).is_ok_and(|found| found == body()) && names(dir) == [NAME]
}

/// Faulty servers from which the right file is still received in the end.
#[test]
fn the_right_file_comes_in_the_end() {
    type Answer = fn(&Ask, &mut Line, &[u8]) -> std::io::Result<()>;
    let cases: [(&str, Answer); 9] = [
        ("200 where a range was asked for", |ask, line, body| {
            let whole = Ask { range: None, ..ask.clone() };
            let (head, rest) = honest(&whole, body, None);
            line.send(head.as_bytes())?;
            line.send(if ask.nth == 0 { &rest[..9_000] } else { rest })
        }),
        ("another range", |ask, line, body| {
            let range = if ask.nth == 1 { ask.range.map(|n| n + 1) } else { ask.range };
            let (head, rest) = honest(&Ask { range, ..ask.clone() }, body, None);
            line.send(head.as_bytes())?;
            line.send(if ask.nth == 0 { &rest[..9_000] } else { rest })
        }),
        ("a range of a file of another length", |ask, line, body| {
            let (head, rest) = honest(ask, body, None);
            let head = if ask.nth == 1 { head.replace("/60000", "/60001") } else { head };
            line.send(head.as_bytes())?;
            line.send(if ask.nth == 0 { &rest[..9_000] } else { rest })
        }),
        ("a range with another tag", |ask, line, body| {
            let tag = if ask.nth == 1 { "\"2\"" } else { "\"1\"" };
            let (head, rest) = honest(&Ask { if_range: None, ..ask.clone() }, body, Some(tag));
            line.send(head.as_bytes())?;
            line.send(if ask.nth == 0 { &rest[..9_000] } else { rest })
        }),
        ("416 for a range that is there", |ask, line, body| {
            if ask.nth == 1 {
                return line
                    .send(head(416, "Content-Range: bytes */5\nContent-Length: 0").as_bytes());
            }
            let (head, rest) = honest(ask, body, None);
            line.send(head.as_bytes())?;
            line.send(if ask.nth == 0 { &rest[..9_000] } else { rest })
        }),
        ("wrong bytes in the middle, once", |ask, line, body| {
            let (head, rest) = honest(ask, body, None);
            line.send(head.as_bytes())?;
            match ask.nth {
                0 => line.send(&[&rest[..8_999], &[rest[8_999] ^ 1]].concat()),
                _ => line.send(rest),
            }
        }),
        ("503 twice", |ask, line, body| match ask.nth {
            0 | 1 => line.send(head(503, "Retry-After: 0\nContent-Length: 0").as_bytes()),
            _ => well(ask, line, body),
        }),
        ("no length, chunked", |_, line, body| {
            line.send(head(200, "Transfer-Encoding: chunked").as_bytes())?;
            for piece in body.chunks(10_000) {
                line.send(format!("{:x}\r\n", piece.len()).as_bytes())?;
                line.send(&[piece, b"\r\n"].concat())?;
            }
            line.send(b"0\r\n\r\n")
        }),
        ("a redirect to the file", |ask, line, body| match ask.path.as_str() {
            "/elsewhere/g" => well(ask, line, body),
            _ => line.send(head(302, "Location: elsewhere/g\nContent-Length: 0").as_bytes()),
        }),
    ];
    for (name, answer) in cases {
        let (server, dir, sum) = (serving(answer), tempfile::tempdir().unwrap(), sha256(&body()));
        fetch_file(pinned(&sum), &[&url(&server)], dir.path())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(has_right_file(dir.path()), "{name}");
        assert!(server.asked().len() <= 4, "{name}: {} connections", server.asked().len());
    }
}

/// Faulty servers for which an error tells the reason, and no file is left.
#[test]
fn whatever_else_comes_is_refused() {
    type Answer = fn(&Ask, &mut Line, &[u8]) -> std::io::Result<()>;
    let cases: [(&str, Answer); 15] = [
        ("is not the published file", |ask, line, body| {
            let mut wrong = body.to_vec();
            wrong[30_000] ^= 1;
            let (head, rest) = honest(ask, &wrong, None);
            line.send(head.as_bytes())?;
            line.send(rest)
        }),
        ("a file of 59999 bytes, not of 60000", |ask, line, body| well(ask, line, &body[1..])),
        ("the connection ended at 1000 of 60000 bytes", |_, line, body| {
            line.send(head(200, "Content-Length: 60000").as_bytes())?;
            line.send(&body[..1000])
        }),
        ("more than the 60000 bytes expected", |_, line, _| {
            line.send(head(200, "X: endless").as_bytes())?;
            for _ in 0..1_000 {
                line.send(&[7; 10_000])?;
            }
            Ok(())
        }),
        ("a web page, \"Quota exceeded\"", |_, line, _| {
            let page = "<!DOCTYPE html><title>Quota exceeded</title>";
            line.send(head(200, "Content-Type: text/html").as_bytes())?;
            line.send(page.as_bytes())
        }),
        ("more than 5 redirects", |_, line, _| {
            line.send(head(302, "Location: /f.bin\nContent-Length: 0").as_bytes())
        }),
        ("something other than http", |_, line, _| {
            line.send(head(301, "Location: file:///etc/passwd\nContent-Length: 0").as_bytes())
        }),
        ("a redirect to nowhere", |_, line, _| {
            line.send(head(307, "Content-Length: 0").as_bytes())
        }),
        ("404: no such file", |_, line, _| line.send(head(404, "Content-Length: 0").as_bytes())),
        ("403: access denied", |_, line, _| line.send(head(403, "Content-Length: 0").as_bytes())),
        ("503: not now", |_, line, _| line.send(head(503, "Content-Length: 0").as_bytes())),
        ("the answer 206", |_, line, body| {
            let more = "Content-Range: bytes 0-59999/60000\nContent-Length: 60000";
            line.send(head(206, more).as_bytes())?;
            line.send(body)
        }),
        // A compression bomb is never decompressed: its bytes are not the file.
        ("a file of 5 bytes", |_, line, _| {
            line.send(head(200, "Content-Encoding: gzip\nContent-Length: 5").as_bytes())?;
            line.send(&[0x1f, 0x8b, 8, 0, 0])
        }),
        ("could not be downloaded", |_, line, _| line.send(b"SSH-2.0-OpenSSH_9.2\r\n")),
        ("could not be downloaded", |_, line, _| {
            line.send(b"HTTP/1.1 200 OK\r\n")?;
            for _ in 0..3_000 {
                line.send(b"X-Endless: header, header, header, header, header\r\n")?;
            }
            Ok(())
        }),
    ];
    for (found, answer) in cases {
        let (server, dir, sum) = (serving(answer), tempfile::tempdir().unwrap(), sha256(&body()));
        let error = fetch_file(pinned(&sum), &[&url(&server)], dir.path()).unwrap_err();
        let said = four_parts(&error);
        assert!(said.contains(found), "{found} in {said}");
        match &error {
            Error::Malformed { .. } => assert!(said.contains(&sum), "{said}"),
            Error::Unreachable { .. } => {
                assert!(said.contains("https://example.org/by-hand in a browser"), "{said}");
                assert!(said.contains(&dir.path().join(NAME).display().to_string()), "{said}");
            }
            _ => panic!("{said}"),
        }
        let left = names(dir.path());
        assert!(!left.contains(&NAME.to_owned()), "{found}: {left:?}");
        let on_disk: u64 =
            left.iter().map(|name| dir.path().join(name).metadata().unwrap().len()).sum();
        assert!(on_disk <= LENGTH as u64 + 1_000, "{found}: {on_disk} bytes");
    }
}

#[test]
fn an_endless_file_of_unknown_length_stops_at_the_cap() {
    let server = serving(|_, line, _| {
        line.send(head(200, "X: endless").as_bytes())?;
        for _ in 0..1_000 {
            line.send(&[7; 10_000])?;
        }
        Ok(())
    });
    let dir = tempfile::tempdir().unwrap();
    let file = Item { most: 70_000, ..FILE };
    let error = fetch_file(file, &[&url(&server)], dir.path()).unwrap_err();
    assert!(four_parts(&error).contains("more than the 70000 bytes"), "{error}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_mirror_takes_over() {
    let missing = serving(|_, line, _| line.send(head(404, "Content-Length: 0").as_bytes()));
    let wrong = serving(|ask, line, body| {
        let wrong: Vec<u8> = body.iter().map(|byte| byte ^ 1).collect();
        well(ask, line, &wrong)
    });
    let cut = serving(|ask, line, body| {
        let (head, rest) = honest(ask, body, Some("\"other\""));
        line.send(head.as_bytes())?;
        line.send(&rest[..if ask.nth == 0 { 20_000 } else { 0 }])
    });
    let (right, sum) = (serving(well), sha256(&body()));
    for bad in [&missing, &wrong, &cut] {
        let dir = tempfile::tempdir().unwrap();
        fetch_file(pinned(&sum), &[&url(bad), &url(&right)], dir.path()).unwrap();
        assert!(has_right_file(dir.path()));
    }
    // The hash verifies bytes from two servers: only the rest was requested.
    assert_eq!(right.asked().last().unwrap().range, Some(20_000));
    assert_eq!(right.asked().last().unwrap().if_range, None, "a tag of another server");
}

#[test]
fn a_page_in_place_of_the_rest_leaves_what_is_there() {
    let (sum, dir) = (sha256(&body()), tempfile::tempdir().unwrap());
    let fails = serving(|ask, line, body| match ask.nth {
        0 => {
            line.send(honest(ask, body, None).0.as_bytes())?;
            line.send(&body[..40_000])
        }
        _ => {
            line.send(head(200, "Content-Type: text/html").as_bytes())?;
            line.send(b"<html><title>Log in</title>")
        }
    });
    let error = fetch_file(pinned(&sum), &[&url(&fails)], dir.path()).unwrap_err();
    assert!(error.to_string().contains("a web page, \"Log in\""), "{error}");
    assert_eq!(dir.path().join("f.bin.part").metadata().unwrap().len(), 40_000);
    let right = serving(well);
    fetch_file(pinned(&sum), &[&url(&right)], dir.path()).unwrap();
    assert!(has_right_file(dir.path()));
    assert_eq!(right.asked()[0].range, Some(40_000));
}

#[test]
fn a_file_that_changes_is_never_mixed() {
    let (old, new) = (noise(1, LENGTH), noise(2, LENGTH));
    let served = new.clone();
    let server = Server::start(move |ask, line| {
        let (body, tag) = if ask.nth == 0 { (&old, "\"old\"") } else { (&served, "\"new\"") };
        let (head, rest) = honest(ask, body, Some(tag));
        line.send(head.as_bytes())?;
        line.send(if ask.nth == 0 { &rest[..30_000] } else { rest })
    });
    let dir = tempfile::tempdir().unwrap();
    fetch_file(FILE, &[&url(&server)], dir.path()).unwrap();
    assert_eq!(server.asked()[1].if_range.as_deref(), Some("\"old\""));
    assert!(fs::read(dir.path().join(NAME)).unwrap() == new);
}

fn timed(answer: fn(&Ask, &mut Line, &[u8]) -> std::io::Result<()>) -> (Result<()>, Duration) {
    let (server, dir, sum) = (serving(answer), tempfile::tempdir().unwrap(), sha256(&body()));
    let begun = Instant::now();
    let result = fetch_file(pinned(&sum), &[&url(&server)], dir.path()).map(|_| ());
    (result, begun.elapsed())
}

#[test]
fn silence_and_drips_do_not_last() {
    // Four tries of 0.4 s each; a byte every 50 ms counts as nothing.
    let (silent, took) = timed(|_, _, _| {
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    });
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(four_parts(&silent.unwrap_err()).contains("timeout"));
    let (drip, took) = timed(|_, line, body| {
        line.send(head(200, "Content-Length: 60000").as_bytes())?;
        for byte in body.iter().take(100) {
            line.send(&[*byte])?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    });
    assert!(took < Duration::from_secs(6), "{took:?}");
    let said = four_parts(&drip.unwrap_err());
    assert!(said.contains("too slow"), "{said}");
}

#[test]
fn nobody_there_is_said_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let address = format!("http://127.0.0.1:{port}/f.bin");
    let error = fetch_file(FILE, &[&address, "not an address"], dir.path()).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(matches!(error, Error::Unreachable { .. }));
    assert!(four_parts(&error).contains("an address that is none"), "{error}");
}

#[test]
fn no_room_is_said_before_anything_is_asked() {
    let (server, dir) = (serving(well), tempfile::tempdir().unwrap());
    let file = Item { size: Some(1 << 62), ..FILE };
    let error = fetch_file(file, &[&url(&server)], dir.path()).unwrap_err();
    assert!(matches!(error, Error::Storage { .. }), "{error}");
    assert!(four_parts(&error).contains("no room to download f.bin"), "{error}");
    assert!(server.asked().is_empty());
}

/// Without a tag and a hash, only the time tells that the rest is of another version.
#[test]
fn two_versions_are_not_joined() {
    let (old, new) = (noise(8, LENGTH), body());
    let server = Server::start(move |ask, line| {
        let (body, time) = if ask.nth == 0 { (&old, "01") } else { (&new, "02") };
        let (head, rest) = honest(&Ask { if_range: None, ..ask.clone() }, body, None);
        let time = format!("Last-Modified: Mon, {time} Jan 2024 00:00:00 GMT\r\nContent-Length");
        line.send(head.replace("Content-Length", &time).as_bytes())?;
        line.send(if ask.nth == 0 { &rest[..9_000] } else { rest })
    });
    let dir = tempfile::tempdir().unwrap();
    fetch_file(FILE, &[&url(&server)], dir.path()).unwrap();
    assert!(has_right_file(dir.path()));
    assert!(server.asked()[1].range.is_some(), "the second connection asked for the rest");
}

#[test]
fn a_second_download_is_announced_as_one() {
    let server = serving(|ask, line, body| {
        let (head, rest) = honest(ask, body, None);
        line.send(head.as_bytes())?;
        match ask.nth {
            0 => line.send(&[&rest[..8_999], &[rest[8_999] ^ 1]].concat()),
            _ => line.send(rest),
        }
    });
    let (dir, sum) = (tempfile::tempdir().unwrap(), sha256(&body()));
    let address = url(&server);
    let item = Item { web: &[&address], ..pinned(&sum) };
    let (report, events) = fetch_all(&[item], dir.path(), None);
    report.unwrap();
    let begun: Vec<Doing> = events
        .iter()
        .filter_map(|event| match event {
            Event::Begin { doing, .. } => Some(*doing),
            _ => None,
        })
        .collect();
    let (load, check) = (Doing::Downloading, Doing::Checking);
    assert_eq!(begun, [load, check, load, check]);
}

/// Hashes behind the end of what is read would be missing without a word, and files accepted without
/// them.
#[test]
fn a_list_of_hashes_that_is_too_long_is_refused_and_not_cut() {
    const MOST: usize = 1 << 20;
    let line = format!("{}  {NAME}\n", sha256(b"another file"));
    for (length, refused) in [(MOST - 1, "is not the published file"), (MOST, "is too long")] {
        let mut list = vec![b'#'; length - line.len()];
        list.push(b'\n');
        list.extend_from_slice(line.as_bytes());
        let server = Server::of(vec![("SHA256SUMS", list), (NAME, body())]);
        let (dir, from) = (tempfile::tempdir().unwrap(), Mirror::parse(&server.address).unwrap());
        let error = fetch_all(&[FILE], dir.path(), Some(&from)).0.unwrap_err();
        assert!(four_parts(&error).contains(refused), "{error}");
        assert!(names(dir.path()).is_empty(), "{error}");
    }
}
