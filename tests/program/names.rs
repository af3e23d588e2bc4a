//! Names of files that are no UTF-8: JSON is printed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::Value;

use crate::common::{stackgan, train, training};

/// `b` and a byte that begins no character.
const ODD: &[u8] = b"b\xff";

/// The program with arguments that may be no UTF-8, which must end well; its stdout as JSON.
fn told(dir: &Path, args: &[&[u8]]) -> Value {
    let args: Vec<OsString> = args.iter().map(|arg| OsStr::from_bytes(arg).to_owned()).collect();
    let output = stackgan(dir, &[]).args(&args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn json_has_names_that_are_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    train(dir, &training("1", "2", &dir.join("run")));
    let odd = dir.join(OsStr::from_bytes(ODD));
    fs::create_dir(&odd).unwrap();
    fs::copy(dir.join("run/model.safetensors"), odd.join("model.safetensors")).unwrap();
    let begins = |found: &Value| found.as_str().is_some_and(|text| text.starts_with("b\u{fffd}"));

    let info = told(dir, &[b"model", b"info", ODD, b"--json"]);
    assert!(begins(&info["file"]), "{info}");
    let verified = told(dir, &[b"model", b"verify", ODD, b"--json"]);
    assert!(begins(&verified["file"]), "{verified}");
    let paint = [&b"generate"[..], b"-m", ODD, b"-p", b"a bird", b"--out", ODD, b"-q", b"--json"];
    let painted = told(dir, &paint);
    assert!(begins(&painted["file"]), "{painted}");
    let way = [&b"interpolate"[..], b"-m", ODD, b"-p", b"a bird", b"--seeds", b"0,1"];
    let more = [&b"--frames"[..], b"2", b"--out", ODD, b"-q", b"--json"];
    let animation = told(dir, &[&way[..], &more[..]].concat());
    assert!(begins(&animation["file"]) && begins(&animation["sheet"]), "{animation}");
    let pictures = fs::read_dir(&odd).unwrap().map(|entry| entry.unwrap().path());
    let picture = pictures.into_iter().find(|path| path.to_string_lossy().contains("000000-seed"));
    let picture = picture.unwrap();
    let picture = picture.strip_prefix(dir).unwrap().as_os_str().as_bytes();
    let judged = told(dir, &[b"repro", b"-m", ODD, picture, b"-q", b"--json"]);
    assert!(begins(&judged["file"]) && judged["verdict"] == "equal", "{judged}");

    fs::create_dir(dir.join("runs")).unwrap();
    fs::rename(dir.join("run"), dir.join("runs").join(OsStr::from_bytes(ODD))).unwrap();
    let runs = told(dir, &[b"runs", b"ls", b"--json"]);
    assert!(runs[0]["path"].as_str().unwrap().ends_with("b\u{fffd}"), "{runs}");
}
