//! Models of the hub: `-m hub:OWNER/NAME`, with a hub on this machine.

use std::io;
use std::path::Path;

use crate::common::{TINY, WORLD, done, json, set, stackgan, training};
use crate::errors::four_parts;
use crate::server::{Ask, Line, Server, head, honest};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Starts a hub with one repository, `me/toy`, that contains this file.
fn hub(model: Vec<u8>, sha256: String) -> Server {
    Server::start(move |ask: &Ask, line: &mut Line| -> io::Result<()> {
        let length = model.len();
        let listing = format!(
            r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "README.md", "size": 5}}, {{"rfilename": "model.safetensors",
            "size": {length}, "lfs": {{"sha256": "{sha256}", "size": {length}, "pointerSize": 134}}}}]}}"#
        );
        let body = match ask.path.as_str() {
            "/api/models/me/toy/revision/main?blobs=true" => listing.as_bytes(),
            path if path == format!("/me/toy/resolve/{COMMIT}/model.safetensors") => &model,
            _ => return line.send(head(404, "Content-Length: 0").as_bytes()),
        };
        let (head, rest) = honest(ask, body, Some("\"e\""));
        line.send(head.as_bytes())?;
        line.send(rest)
    })
}

/// Runs a command with this hub, or without one. Returns code, stdout and stderr.
fn with(server: Option<&Server>, dir: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = stackgan(dir, args);
    command.env("HF_HOME", dir.join("cache")).env_remove("HF_TOKEN").env_remove("HF_HUB_CACHE");
    match server {
        Some(server) => command.env("HF_HUB_OFFLINE", "0").env("HF_ENDPOINT", &server.address),
        None => command.env("HF_HUB_OFFLINE", "1"),
    };
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The hub's cache is where other programs of the hub look for it, even if its name is not UTF-8.
#[cfg(unix)]
#[test]
fn the_cache_may_have_any_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("run")));
    let home = dir.join(OsStr::from_bytes(b"h\xff"));
    for (variable, hub) in [
        ("HF_HUB_CACHE", home.clone()),
        ("HF_HOME", home.join("hub")),
        ("XDG_CACHE_HOME", home.join("huggingface/hub")),
    ] {
        let kept = hub.join("models--me--toy");
        std::fs::create_dir_all(kept.join("refs")).unwrap();
        std::fs::write(kept.join("refs/main"), COMMIT).unwrap();
        let snapshot = kept.join("snapshots").join(COMMIT);
        std::fs::create_dir_all(&snapshot).unwrap();
        let model = dir.join("run/model.safetensors");
        std::fs::copy(model, snapshot.join("model.safetensors")).unwrap();
        let mut command = stackgan(dir, &["model", "info", "hub:me/toy"]);
        command.env_remove("HF_HOME").env_remove("HF_HUB_CACHE").env(variable, &home);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// If a repository contains something else, the message is about models, because `-m` was given.
#[test]
fn a_repository_without_a_model_is_told_of_models() {
    let server = Server::start(|ask: &Ask, line: &mut Line| -> io::Result<()> {
        let listing = format!(r#"{{"sha": "{COMMIT}", "siblings": []}}"#);
        let (head, rest) = honest(ask, listing.as_bytes(), Some("\"e\""));
        line.send(head.as_bytes())?;
        line.send(rest)
    });
    let folder = tempfile::tempdir().unwrap();
    let paint = ["generate", "-m", "hub:me/toy", "-p", "a red bird", "-q"];
    let (code, _, said) = with(Some(&server), folder.path(), &paint);
    assert_eq!(code, Some(4), "{said}");
    four_parts(&said, "hub:me/toy");
    assert!(said.contains("model export --hub") && !said.contains("MiniLM"), "{said}");
}

#[test]
fn a_model_of_the_hub_paints_and_is_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("run")));
    done(dir, &["model", "export", "run", "--hub", "toy"]);
    let info = json(dir, &["model", "info", "toy", "--json"]);
    let sha256 = info["sha256"].as_str().unwrap().to_owned();
    let server = hub(std::fs::read(dir.join("toy/model.safetensors")).unwrap(), sha256.clone());

    let paint = |from: &str, server| {
        with(server, dir, &["generate", "-m", from, "-p", "a red bird", "--json"])
    };
    let (code, _, said) = paint("hub:me/toy", None);
    assert!(code == Some(4) && said.contains("HF_HUB_OFFLINE"), "{code:?} {said}");
    let (code, _, said) = paint("hub:me/none", Some(&server));
    assert!(code == Some(4) && said.contains("me/none"), "{code:?} {said}");
    let (code, _, said) = paint("hub:no name", Some(&server));
    assert!(code == Some(2) && said.contains("hub:OWNER/NAME"), "{code:?} {said}");

    let pixels = |told: &str| {
        let facts: serde_json::Value = serde_json::from_str(told).unwrap();
        (facts["pixels_sha256"].clone(), facts["model_sha256"].clone())
    };
    let (_, own, _) = paint("toy", None);
    let (code, fetched, said) = paint("hub:me/toy", Some(&server));
    assert_eq!((code, pixels(&fetched)), (Some(0), pixels(&own)), "{said}");
    let asked = server.asked().len();
    let (code, kept, said) = paint("hub:me/toy", None); // from the cache
    assert_eq!(
        (code, pixels(&kept), server.asked().len()),
        (Some(0), pixels(&own), asked),
        "{said}"
    );
    let (_, told, _) = with(None, dir, &["model", "info", "hub:me/toy"]);
    assert!(told.contains(&sha256), "{told}");

    let data = WORLD.birds().display().to_string();
    let stage2 =
        ["train", "--stage", "2", "--stage1", "hub:me/toy", "--data", &data, "--run", "two", "-q"];
    let args = [&stage2[..], &set(TINY), &["--set", "optim.steps=1"]].concat();
    let (code, _, said) = with(None, dir, &args);
    assert_eq!(code, Some(0), "{said}");
    let record = std::fs::read_to_string(dir.join("two/run.json")).unwrap();
    assert!(record.contains("\"hub:me/toy\""), "{record}");
}
