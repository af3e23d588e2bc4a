//! Models and datasets of the hub: `hub:OWNER/NAME`, with a hub on this machine.

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

/// A hub of datasets: for each repository and revision the names of files, all of them fixtures.
const DATASETS: &[(&str, &[&str])] = &[
    (
        "me/birds/revision/main",
        &[
            "README.md",
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
            "data/test-00000-of-00001.parquet",
        ],
    ),
    ("me/zipped/revision/main", &["README.md", "birds.zip"]),
    (
        "me/zipped/revision/refs%2Fconvert%2Fparquet",
        &[
            "default/train/train-00000-of-00002.parquet",
            "default/train/train-00001-of-00002.parquet",
            "default/test/test-00000-of-00001.parquet",
        ],
    ),
    (
        "me/many/revision/v1",
        &[
            "data/en/train-00000-of-00002.parquet",
            "data/de/train-00000-of-00002.parquet",
            "data/de/test-00000-of-00001.parquet",
        ],
    ),
    // Its own files come first.
    ("me/birds/revision/refs%2Fconvert%2Fparquet", &["other/train-00000-of-00002.parquet"]),
    ("me/none/revision/main", &["README.md"]),
    ("me/hostile/revision/main", &["../../train-00000-of-00002.parquet"]),
];

fn datasets() -> Server {
    let shard = |name: &str| {
        let name = name.rsplit('/').next().unwrap();
        let shards = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read(shards.join("../stackgan-data/tests/fixtures/shards").join(name)).ok()
    };
    Server::start(move |ask: &Ask, line: &mut Line| -> io::Result<()> {
        let listing = DATASETS.iter().find_map(|(repository, names)| {
            let asked = format!("/api/datasets/{repository}?blobs=true");
            let file = |name: &&str| {
                let size = shard(name).unwrap_or_default().len();
                format!(r#"{{"rfilename": "{name}", "size": {size}}}"#)
            };
            let files: Vec<String> = names.iter().map(file).collect();
            let listing = format!(r#"{{"sha": "{COMMIT}", "siblings": [{}]}}"#, files.join(", "));
            (ask.path == asked).then(|| listing.into_bytes())
        });
        let is_file = ask.path.starts_with("/datasets/me/")
            && ask.path.contains(&format!("/resolve/{COMMIT}/"));
        let Some(body) = listing.or_else(|| shard(&ask.path).filter(|_| is_file)) else {
            return line.send(head(404, "Content-Length: 0").as_bytes());
        };
        let (head, rest) = honest(ask, &body, Some("\"e\""));
        line.send(head.as_bytes())?;
        line.send(rest)
    })
}

#[test]
fn a_dataset_of_the_hub_becomes_a_folder() {
    let server = datasets();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let unpacked = |server: Option<&Server>, name: &str, out: &str| {
        let (code, said, told) = with(server, dir, &["data", "unpack", name, "--out", out]);
        assert_eq!(code, Some(0), "{told}");
        let rest = said.strip_prefix(&format!("{out}: ")).unwrap().to_owned();
        let table = std::fs::read(dir.join(out).join("metadata.jsonl")).unwrap();
        (rest, table, told)
    };
    let (said, table, _) = unpacked(Some(&server), "hub:me/birds", "birds");
    assert_eq!(said, "12 pictures with 12 captions, 3 classes, split into train, test\n");
    let asked = server.asked().len();
    assert_eq!(asked, 4, "a list and three files");
    // What is there already is not asked for, nor is anything before the folder is known to be free
    // and what is named on this machine to be there.
    assert_eq!(unpacked(Some(&server), "hub:me/birds", "again").1, table);
    assert_eq!(server.asked().len(), asked + 1);
    let taken = ["data", "unpack", "hub:me/zipped", "--out", "birds"];
    assert_eq!(with(Some(&server), dir, &taken).0, Some(2));
    let lacking = ["data", "unpack", "hub:me/zipped", "none.parquet", "--out", "new"];
    assert_eq!(with(Some(&server), dir, &lacking).0, Some(4));
    assert_eq!(server.asked().len(), asked + 1);
    let (again, whole, told) = unpacked(Some(&server), "hub:me/zipped", "zipped");
    assert!(told.contains("those that the hub makes of it are taken"), "{told}");
    assert!(again == said && whole == table);
    let (said, _, _) = unpacked(Some(&server), "hub:me/many@v1/data/en", "en");
    assert!(said.ends_with("3 classes, no split\n"), "{said}");
    unpacked(Some(&server), "hub:me/many@v1/data/de", "de");
    drop(server);
    // Other programs keep links to files in the cache.
    let kept = dir.join("cache/hub/datasets--me--birds");
    let file = kept.join(format!("snapshots/{COMMIT}/data/test-00000-of-00001.parquet"));
    std::fs::rename(&file, kept.join("blob")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../../../blob", &file).unwrap();
    #[cfg(not(unix))]
    std::fs::rename(kept.join("blob"), &file).unwrap();
    let (_, again, told) = unpacked(None, "hub:me/birds", "offline");
    assert!(again == table && told.contains("from the cache alone: 3 files"), "{told}");
    assert_eq!(unpacked(None, "hub:me/zipped", "offline-zipped").1, table);
    let mixed = ["data", "unpack", "hub:me/many@v1", "--out", "mixed"];
    assert_eq!(with(None, dir, &mixed).0, Some(2));
}

#[test]
fn datasets_of_the_hub_that_cannot_be_had_are_told() {
    let server = datasets();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (server, name, code, parts) in [
        (
            Some(&server),
            "hub:me/many@v1",
            2,
            [
                "2 folders of hub:me/many@v1/data: de, en",
                "name one of them: hub:me/many@v1/data/de",
            ],
        ),
        (Some(&server), "hub:me/none", 4, ["has none of the files", "it has README.md"]),
        (
            Some(&server),
            "hub:me/birds/other",
            4,
            ["hub:me/birds/other has none", "data/train-00000-of-00002.parquet"],
        ),
        (Some(&server), "hub:me/hostile", 3, ["names a file that is not safe", "../../train"]),
        (Some(&server), "hub:me/gone", 4, ["404", "needs a token"]),
        (
            Some(&server),
            "hub:me/birds/../x",
            2,
            ["no name of a dataset on the hub", "hub:OWNER/NAME"],
        ),
        (None, "hub:me/birds", 4, ["HF_HUB_OFFLINE is set", "files of me/birds"]),
    ] {
        let (found, _, told) = with(server, dir, &["data", "unpack", name, "--out", "out", "-q"]);
        assert_eq!(found, Some(code), "{name}: {told}");
        four_parts(&told, "");
        for part in parts {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(!dir.join("out").exists());
    }
}
