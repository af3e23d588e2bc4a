//! A hub on this machine: a server that breaks connections, sends wrong data and refuses, and a
//! cache that is used first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, mpsc};

use stackgan_data::Error;
use stackgan_data::fetch::Event;
use stackgan_data::fetch::hub::{Hub, Layout, Repository, Wanted};

use crate::server::{Ask, Line, Server, head, honest};
use crate::sets::{HASTE, four_parts, noise, sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CONFIG: &[u8] = b"{\"hidden_size\": 8}";
const WANTED: [Wanted<'static>; 3] = [
    Wanted { name: "config.json", most: 1 << 20, needed: true },
    Wanted { name: "model.safetensors", most: 1 << 20, needed: true },
    Wanted { name: "1_Pooling/config.json", most: 1 << 20, needed: false },
];

const LAYOUT: Layout<'static> =
    Layout { files: &WANTED, expected: "a repository of birds", remedy: "choose one with birds" };

fn weights() -> Vec<u8> {
    noise(5, 300_000)
}

/// Returns a good hub's description of the repository `a/b`.
fn listing(sha256: &str) -> String {
    let length = weights().len();
    format!(
        r#"{{"_id": "1", "sha": "{COMMIT}", "private": false, "siblings": [
        {{"rfilename": "config.json", "size": {}, "blobId": "1"}},
        {{"rfilename": "README.md", "size": 5}},
        {{"rfilename": "1_Pooling/config.json", "size": 2}},
        {{"rfilename": "model.safetensors", "size": {length}, "lfs": {{"sha256": "{sha256}", "size": {length}, "pointerSize": 134}}}}]}}"#,
        CONFIG.len()
    )
}

/// Answers as a good hub does.
fn good(ask: &Ask, line: &mut Line) -> io::Result<()> {
    let list = listing(&sha256(&weights()));
    let weights = weights();
    let resolve = format!("/a/b/resolve/{COMMIT}/");
    let body: &[u8] = match ask.path.as_str() {
        "/api/models/a/b/revision/main?blobs=true" => list.as_bytes(),
        path => match path.strip_prefix(&resolve) {
            Some("config.json") => CONFIG,
            Some("1_Pooling/config.json") => b"{}",
            Some("model.safetensors") => &weights,
            _ => return line.send(head(404, "Content-Length: 0").as_bytes()),
        },
    };
    let (head, rest) = honest(ask, body, Some("\"e\""));
    line.send(head.as_bytes())?;
    line.send(rest)
}

fn is_weights(ask: &Ask) -> bool {
    ask.path.ends_with("model.safetensors")
}

fn hub(server: &Server, cache: &Path, token: Option<&str>) -> Hub {
    Hub::new(&server.address, cache.to_path_buf(), token.map(str::to_owned), HASTE).unwrap()
}

fn get(hub: &Hub, name: &str) -> stackgan_data::Result<PathBuf> {
    hub.folder(&Repository::parse(name).unwrap(), &LAYOUT, &mut |_: &Event| {})
}

fn assert_whole(folder: &Path) {
    assert_eq!(fs::read(folder.join("config.json")).unwrap(), CONFIG);
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
    assert_eq!(fs::read(folder.join("1_Pooling/config.json")).unwrap(), b"{}");
}

#[test]
fn a_model_comes_once_and_then_from_the_cache() {
    let server = Server::start(good);
    let cache = tempfile::tempdir().unwrap();
    let offline = hub(&server, cache.path(), None).offline();
    let error = get(&offline, "a/b").unwrap_err();
    assert!(
        matches!(&error, Error::Missing { .. }) && error.to_string().contains("HF_HUB_OFFLINE"),
        "{error}"
    );
    assert_eq!(server.asked().len(), 0, "offline asks nobody");

    let folder = get(&hub(&server, cache.path(), None), "a/b").unwrap();
    assert_whole(&folder);
    assert!(folder.ends_with(format!("models--a--b/snapshots/{COMMIT}")), "{}", folder.display());
    let asked = server.asked().len();
    assert_eq!(asked, 4, "a list and three files");
    assert_eq!(get(&hub(&server, cache.path(), None), "a/b").unwrap(), folder);
    assert_eq!(get(&offline, "a/b").unwrap(), folder);
    assert_eq!(server.asked().len(), asked, "the cache is enough");
    // The cache has hf-hub's layout: hf-hub finds the files.
    let found = hf_hub::Cache::new(cache.path().into()).model("a/b".to_owned()).get("config.json");
    assert_eq!(found, Some(folder.join("config.json")));
    // An optional file is missing: offline, the required files are enough; online, it is fetched.
    fs::remove_file(folder.join("1_Pooling/config.json")).unwrap();
    assert_eq!(get(&offline, "a/b").unwrap(), folder);
    assert_whole(&get(&hub(&server, cache.path(), None), "a/b").unwrap());
}

/// Files that a repository lacks are recorded as by the hub's own programs, and not requested
/// again.
#[test]
fn the_cache_is_enough_where_a_repository_lacks_what_may_be_missing() {
    let server = Server::start(|ask, line| {
        let list = listing(&sha256(&weights())).replace("1_Pooling/config.json", "other.json");
        if !ask.path.starts_with("/api/") {
            return good(ask, line);
        }
        let (head, rest) = honest(ask, list.as_bytes(), Some("\"e\""));
        line.send(head.as_bytes())?;
        line.send(rest)
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server, cache.path(), None);
    let folder = get(&hub, "a/b").unwrap();
    let asked = server.asked().len();
    assert_eq!(asked, 3, "a list and two files");
    assert_eq!(get(&hub, "a/b").unwrap(), folder);
    assert_eq!(server.asked().len(), asked, "nobody is asked");
    let mark = format!("models--a--b/.no_exist/{COMMIT}/1_Pooling/config.json");
    fs::remove_file(cache.path().join(mark)).unwrap();
    // Another program may have fetched only some files: a file is requested unless it is known to
    // be missing.
    assert_eq!(get(&hub, "a/b").unwrap(), folder);
    assert_eq!(server.asked().len(), asked + 1, "the list alone");
    // Without the hub, what must be there is enough for whoever says so.
    fs::remove_dir_all(cache.path().join("models--a--b/.no_exist")).unwrap();
    drop(server);
    let said = four_parts(&get(&hub, "a/b").unwrap_err());
    assert!(said.contains("HF_HUB_OFFLINE=1"), "{said}");
    assert_eq!(get(&hub.clone().offline(), "a/b").unwrap(), folder);
    fs::remove_file(folder.join("config.json")).unwrap();
    assert!(!four_parts(&get(&hub, "a/b").unwrap_err()).contains("HF_HUB_OFFLINE"));
}

/// Two downloads would write into the same partial file: the second one is refused while the first
/// one runs.
#[test]
fn a_repository_has_one_download_at_a_time() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let server = Server::start(move |ask, line| {
        if ask.path.ends_with("/config.json") {
            let _ = wait.lock().unwrap().recv(); // until the second was turned away
        }
        good(ask, line)
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server, cache.path(), None);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| get(&hub, "a/b"));
        while server.asked().len() < 2 {
            std::thread::yield_now();
        }
        let error = get(&hub, "a/b").unwrap_err();
        assert!(matches!(error, Error::Storage { .. }), "{error}");
        let said = four_parts(&error);
        assert!(said.contains("hub:a/b") && said.contains("models--a--b"), "{said}");
        let other = get(&hub, "a/c").unwrap_err(); // nothing holds another repository
        assert!(matches!(other, Error::Unreachable { .. }), "{other}");
        drop(go);
        assert_whole(&first.join().unwrap().unwrap());
    });
    assert_whole(&get(&hub, "a/b").unwrap());
}

#[test]
fn what_breaks_off_is_gone_on_with() {
    for ignores_ranges in [false, true] {
        let server = Server::start(move |ask, line| {
            let weights = weights();
            if !is_weights(ask) {
                return good(ask, line);
            }
            let mut ask = ask.clone();
            if ignores_ranges {
                ask.range = None; // the whole file, as if nothing had been there
            }
            let (head, rest) = honest(&ask, &weights, Some("\"e\""));
            line.send(head.as_bytes())?;
            line.send(if ask.nth < 4 { &rest[..rest.len() / 3] } else { rest })
        });
        let cache = tempfile::tempdir().unwrap();
        assert_whole(&get(&hub(&server, cache.path(), None), "a/b").unwrap());
        assert!(server.asked().iter().any(|ask| is_weights(ask) && ask.range.is_some()));
    }
}

#[test]
fn other_bytes_than_the_published_ones_are_thrown_away() {
    let server = Server::start(|ask, line| {
        if !is_weights(ask) {
            return good(ask, line);
        }
        let mut other = weights();
        other[1000] ^= 1;
        let (head, rest) = honest(ask, &other, Some("\"e\""));
        line.send(head.as_bytes())?;
        line.send(rest)
    });
    let cache = tempfile::tempdir().unwrap();
    let error = get(&hub(&server, cache.path(), None), "a/b").unwrap_err();
    assert!(
        matches!(&error, Error::Malformed { .. }) && error.to_string().contains("SHA-256"),
        "{error}"
    );
    let folder = cache.path().join(format!("models--a--b/snapshots/{COMMIT}"));
    assert!(!folder.join("model.safetensors").exists());
    assert!(
        get(&hub(&server, cache.path(), None).offline(), "a/b").is_err(),
        "it does not count as there"
    );
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let server = Server::start(|ask, line| match ask.nth {
        0 => line.send(head(500, "Content-Length: 0").as_bytes()),
        2 => line.send(head(503, "Retry-After: 0\nContent-Length: 0").as_bytes()),
        3 => line.send(head(429, "Retry-After: 0\nContent-Length: 0").as_bytes()),
        _ => good(ask, line),
    });
    let cache = tempfile::tempdir().unwrap();
    assert_whole(&get(&hub(&server, cache.path(), None), "a/b").unwrap());
}

#[test]
fn refusals_say_what_helps() {
    let gated = Server::start(|ask, line| match ask.token.as_deref() {
        Some("Bearer hf_good") => good(ask, line),
        Some(_) => line.send(head(403, "Content-Length: 0").as_bytes()),
        None => line.send(head(401, "Content-Length: 0").as_bytes()),
    });
    let cache = tempfile::tempdir().unwrap();
    for (token, says) in
        [(None, "set HF_TOKEN"), (Some("hf_bad"), "whether the token of HF_TOKEN may read it")]
    {
        let error = get(&hub(&gated, cache.path(), token), "a/b").unwrap_err();
        assert!(
            matches!(&error, Error::Unreachable { .. }) && error.to_string().contains(says),
            "{error}"
        );
        assert!(!error.to_string().contains("hf_bad"), "{error}");
    }
    let error = get(&hub(&gated, cache.path(), Some("hf_good")), "a/c").unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable { .. }) && error.to_string().contains("check the name"),
        "{error}"
    );
    assert_whole(&get(&hub(&gated, cache.path(), Some("hf_good")), "a/b").unwrap());
}

/// Weights are on another server, to which the hub redirects. This server does not receive the
/// token.
#[test]
fn a_token_goes_to_the_hub_alone() {
    let store = Server::start(good);
    let elsewhere = store.address.clone();
    let server = Server::start(move |ask, line| {
        if is_weights(ask) {
            let to = format!("Location: {elsewhere}{}\nContent-Length: 0", ask.path);
            return line.send(head(302, &to).as_bytes());
        }
        if ask.path.ends_with("/1_Pooling/config.json") && !ask.path.starts_with("/moved") {
            let to = format!("Location: /moved{}\nContent-Length: 0", ask.path);
            return line.send(head(307, &to).as_bytes());
        }
        let moved = ask.path.strip_prefix("/moved").unwrap_or(&ask.path).to_owned();
        good(&Ask { path: moved, ..ask.clone() }, line)
    });
    let cache = tempfile::tempdir().unwrap();
    assert_whole(&get(&hub(&server, cache.path(), Some("hf_secret")), "a/b").unwrap());
    let said =
        |server: &Server| server.asked().iter().map(|ask| ask.token.clone()).collect::<Vec<_>>();
    assert_eq!(said(&store), [None]);
    assert_eq!(said(&server), vec![Some("Bearer hf_secret".to_owned()); 5]);
}

#[test]
fn answers_that_make_no_sense_are_told() {
    for body in ["", "[]", "{", r#"{"sha": "../../x", "siblings": []}"#, "<html>log in</html>"] {
        let server = Server::start(move |ask, line| {
            let (head, rest) = honest(ask, body.as_bytes(), None);
            line.send(head.as_bytes())?;
            line.send(rest)
        });
        let cache = tempfile::tempdir().unwrap();
        let error = get(&hub(&server, cache.path(), None), "a/b").unwrap_err().to_string();
        assert!(error.contains("do: "), "{body}: {error}");
    }
    // A repository without weights in safetensors.
    let server = Server::start(|ask, line| {
        let list = listing("0").replace("model.safetensors", "pytorch_model.bin");
        let (head, rest) =
            honest(ask, if ask.path.starts_with("/api") { list.as_bytes() } else { CONFIG }, None);
        line.send(head.as_bytes())?;
        line.send(rest)
    });
    let cache = tempfile::tempdir().unwrap();
    let error = get(&hub(&server, cache.path(), None), "a/b").unwrap_err();
    assert!(
        matches!(&error, Error::Missing { .. })
            && error.to_string().contains("no model.safetensors"),
        "{error}"
    );
    let said = four_parts(&error);
    assert!(said.contains("a repository of birds") && said.contains("do: choose one"), "{said}");
}

/// A file saved by a person is used; the list of files is requested each time.
#[test]
fn only_what_is_read_is_to_be_saved_by_hand() {
    for (part, by_hand) in [("/api/", false), ("model.safetensors", true)] {
        let server = Server::start(move |ask, line| match ask.path.contains(part) {
            true => line.send(head(500, "Content-Length: 0").as_bytes()),
            false => good(ask, line),
        });
        let cache = tempfile::tempdir().unwrap();
        let error = get(&hub(&server, cache.path(), None), "a/b").unwrap_err();
        let said = four_parts(&error);
        assert!(said.contains("run this again"), "{said}");
        assert_eq!(said.contains("in a browser"), by_hand, "{said}");
    }
}

/// Python's programs write no reference for a commit that was asked for by its hash, and an editor
/// or a shell ends a reference with a newline.
#[test]
fn a_commit_in_the_cache_needs_no_reference() {
    let server = Server::start(good);
    let cache = tempfile::tempdir().unwrap();
    let folder = get(&hub(&server, cache.path(), None), "a/b").unwrap();
    let offline = hub(&server, cache.path(), None).offline();
    let reference = cache.path().join("models--a--b/refs/main");
    fs::write(&reference, format!("{COMMIT}\n")).unwrap();
    assert_eq!(get(&offline, "a/b").unwrap(), folder);
    fs::remove_file(reference).unwrap();
    assert!(get(&offline, "a/b").is_err());
    assert_eq!(get(&offline, &format!("a/b@{COMMIT}")).unwrap(), folder);
    assert_eq!(get(&offline, &format!("a/b@{}", COMMIT.to_uppercase())).unwrap(), folder);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    for knows_size in [true, false] {
        let server = Server::start(move |ask, line| {
            if knows_size || !ask.path.starts_with("/api/") {
                return good(ask, line);
            }
            let size = format!("\"size\": {}, ", weights().len());
            let list = listing(&sha256(&weights())).replace(&size, "");
            let (head, rest) = honest(ask, list.as_bytes(), None);
            line.send(head.as_bytes())?;
            line.send(rest)
        });
        let cache = tempfile::tempdir().unwrap();
        let files = [Wanted { most: 1000, ..WANTED[1] }];
        let layout = Layout { files: &files, ..LAYOUT };
        let (hub, name) = (hub(&server, cache.path(), None), Repository::parse("a/b").unwrap());
        let error = hub.folder(&name, &layout, &mut |_: &Event| {}).unwrap_err();
        let said = four_parts(&error);
        assert!(said.contains("model.safetensors is too large"), "{said}");
        assert!(said.contains("300000") && !said.contains("in a browser"), "{said}");
        let asked = server.asked().iter().filter(|ask| is_weights(ask)).count();
        assert_eq!(asked, usize::from(!knows_size), "asked once at most, for the length");
        assert_eq!(names_of_parts(cache.path()), 0);
    }
}

/// The number of files that were begun.
fn names_of_parts(cache: &Path) -> usize {
    let folder = cache.join(format!("models--a--b/snapshots/{COMMIT}"));
    fs::read_dir(folder).map_or(0, |entries| entries.count())
}

/// A count of bytes is no answer of a server.
#[test]
fn a_connection_that_ends_is_no_refusal() {
    let server = Server::start(|ask, line| {
        if !is_weights(ask) {
            return good(ask, line);
        }
        let weights = weights();
        let (head, rest) = honest(ask, &weights, Some("\"e\""));
        line.send(head.as_bytes())?;
        line.send(if ask.range.is_none() { &rest[..40_400] } else { b"" })
    });
    let cache = tempfile::tempdir().unwrap();
    let said = four_parts(&get(&hub(&server, cache.path(), None), "a/b").unwrap_err());
    assert!(said.contains("40400 of 300000") && said.contains("run this again later"), "{said}");
    assert!(!said.contains("HF_TOKEN"), "{said}");
}
