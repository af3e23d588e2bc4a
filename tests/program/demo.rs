//! `stackgan demo --quick`: everything from the drawing to the report, in one command, and in many
//! that are killed.

use std::fs;
use std::path::Path;
use std::process::Child;

use serde_json::Value;

use crate::common::{archive, done, failed, slashes, stackgan};
use crate::errors::four_parts;
use crate::folder::{newest, signal, start, stats, wait_for};
use crate::ledger::ledger;

const DEMO: [&str; 4] = ["demo", "--quick", "--out", "demo"];

fn begin(dir: &Path) -> Child {
    start(dir, &DEMO.map(str::to_owned))
}

fn notes(demo: &Path) -> Value {
    serde_json::from_slice(&fs::read(demo.join("demo.json")).unwrap()).unwrap()
}

/// How often the demo was started, once it has begun.
fn sittings(demo: &Path) -> Option<u64> {
    let notes: Value = serde_json::from_slice(&fs::read(demo.join("demo.json")).ok()?).ok()?;
    notes["sittings"].as_u64()
}

/// The report and the model are there, whole, and follow from one another.
fn complete(dir: &Path, said: &str) -> String {
    let out = dir.join("demo");
    for file in [
        "model.safetensors",
        "encoder.safetensors",
        "sheets/64.png",
        "sheets/256.png",
        "stage1/stats.jsonl",
        "stage2/config.toml",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    for part in [
        "<svg",
        "data:image/png;base64,",
        "a red bird with a yellow belly",
        "R-precision",
        "class=\"slider\"",
        "quick run",
        "Contrastive loss of captions",
    ] {
        assert!(report.contains(part), "no {part}");
    }
    assert!(
        !report.contains("http:") && !report.contains("https:"),
        "the report needs the network"
    );
    // The judge and the encoder's measure give plausible values for real pictures, whatever was
    // painted.
    let real = said.lines().find(|l| l.starts_with("real pictures")).unwrap();
    let body: f64 = real.split_whitespace().find_map(|w| w.parse().ok()).unwrap();
    assert!(body > 0.9, "{real}");
    assert!(said.contains("model.safetensors") && said.contains("report.html"));
    done(dir, &["generate", "-m", "demo", "-p", "a red bird", "--stage", "1", "-q"]);
    let left = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
    assert!(!left.iter().any(|n| n.starts_with('.') || n.ends_with("unfinished")), "{left:?}");
    report
}

/// A finished demo says so, whatever else a user has put there, and makes only what is gone. A damaged
/// one is left alone.
fn finished(dir: &Path, said: &str) {
    let demo = dir.join("demo");
    let before = fs::read(demo.join("demo.json")).unwrap();
    fs::write(demo.join("letter.txt"), "dear bird").unwrap();
    for again in [&DEMO[..], &["demo"], &["demo", "--seed", "0"]] {
        let output = stackgan(dir, again).output().unwrap();
        assert!(output.status.success(), "{again:?}");
        assert_eq!(slashes(String::from_utf8(output.stdout).unwrap()), said);
        let told = String::from_utf8(output.stderr).unwrap();
        for part in ["complete", "--out", "learns next to nothing"] {
            assert!(told.contains(part), "{told}");
        }
    }
    for (other, option) in
        [(&["--minutes", "10"][..], "--minutes"), (&["--quick", "--seed", "4"], "--seed")]
    {
        let (code, error) = failed(dir, &[&["demo"], other].concat());
        assert_eq!(code, 2, "{error}");
        four_parts(&error, option);
    }
    assert!(fs::read(demo.join("demo.json")).unwrap() == before, "something was changed");

    // Only what is gone is made again.
    let model = demo.join("model.safetensors").metadata().unwrap().modified().unwrap();
    fs::remove_file(demo.join("report.html")).unwrap();
    assert_eq!(done(dir, &DEMO), said);
    assert!(demo.join("report.html").is_file());
    assert_eq!(demo.join("model.safetensors").metadata().unwrap().modified().unwrap(), model);
    assert_eq!(fs::read(demo.join("letter.txt")).unwrap(), b"dear bird");

    // What is no demo, or a damaged one, is left alone.
    fs::write(demo.join("demo.json"), &before[..before.len() / 2]).unwrap();
    let (code, error) = failed(dir, &DEMO);
    assert_eq!(code, 3, "{error}");
    four_parts(&error, "demo.json");
    fs::remove_file(demo.join("demo.json")).unwrap();
    let (code, error) = failed(dir, &DEMO);
    assert_eq!(code, 2, "{error}");
    four_parts(&error, "demo");
    assert!(error.contains("not empty"), "{error}");
}

/// Where no signal can stop one.
#[cfg(not(unix))]
#[test]
fn a_quick_demo_leaves_a_model_and_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let said = done(dir, &[&DEMO[..], &["-q"]].concat());
    let report = complete(dir, &said);
    assert!(!report.contains("was started"), "in one sitting");
    finished(dir, &said);
}

/// Whether a demo has come to some point.
type Seen = fn(&Path) -> bool;

const ENCODER: &str = "encoder.safetensors";
const UNFINISHED: &str = "encoder.safetensors.unfinished";

/// Where a demo is stopped, and by which signal.
const STOPS: [(&str, &str, Seen); 11] = [
    ("drawing", "-KILL", |demo| demo.join("demo.json").exists()),
    ("preparing", "-INT", |demo| demo.join("data").exists()),
    ("the text encoder", "-KILL", |demo| demo.join(UNFINISHED).exists()),
    ("the text encoder goes on", "-INT", |demo| {
        demo.join(ENCODER).exists() || is_new(demo, UNFINISHED)
    }),
    ("encoding", "-KILL", |demo| demo.join(ENCODER).exists()),
    ("Stage-I", "-KILL", |demo| !stats(&demo.join("stage1")).is_empty()),
    ("a checkpoint of Stage-I", "-KILL", |demo| newest(&demo.join("stage1")) > Some(0)),
    ("Stage-II", "-TERM", |demo| !stats(&demo.join("stage2")).is_empty()),
    ("a checkpoint of Stage-II", "-KILL", |demo| newest(&demo.join("stage2")) > Some(0)),
    ("painting", "-KILL", |demo| demo.join("sheets/prompt-0.png").exists()),
    ("scoring", "-INT", |demo| demo.join("sheets/prompts.txt").exists()),
];

/// Whether a file was written since the demo was last started, which is when `demo.json` was.
fn is_new(demo: &Path, file: &str) -> bool {
    let written = |name: &str| demo.join(name).metadata().and_then(|facts| facts.modified()).ok();
    written(file) > written("demo.json")
}

/// The step from which the encoder's training is to go on, if it has begun and not ended.
fn kept_step(demo: &Path) -> Option<String> {
    let (state, encoder) = (demo.join(UNFINISHED), demo.join(ENCODER));
    let begun = state.exists() && !encoder.exists();
    begun.then(|| archive(&state).metadata["step"].clone())
}

/// A demo is killed or stopped at every part, and the same command goes on until it is complete. No
/// part that was done is done again, and no step of the encoder that was kept.
#[cfg(unix)]
#[test]
fn a_demo_that_is_stopped_anywhere_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let demo = dir.join("demo");
    let mut took: Vec<Value> = Vec::new();
    for (sitting, (what, how, seen)) in (1..).zip(&STOPS) {
        let kept = kept_step(&demo);
        let mut child = begin(dir);
        wait_for(what, &mut child, || sittings(&demo) == Some(sitting) && seen(&demo));
        if *what == "the text encoder" {
            let (code, error) = failed(dir, &DEMO);
            assert_eq!(code, 6, "{error}");
            four_parts(&error, "LOCK");
            assert!(error.contains("another process"), "{error}");
        }
        signal(&child, how);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let at = kept.map_or_else(String::new, |step| format!("goes on at step {step}\n"));
        assert!(said.contains(&at), "{what}: no {at} in {said}");
        let code = match *how {
            "-INT" => Some(130),
            "-TERM" => Some(143),
            _ => None,
        };
        assert_eq!(output.status.code(), code, "{what}: {said}");
        if code.is_some() {
            assert!(
                said.contains("goes on from there:\n  stackgan demo --out demo"),
                "{what}: {said}"
            );
        }
        let now = notes(&demo)["took"].as_array().unwrap().clone();
        assert!(now.starts_with(&took), "{what}: {now:?}");
        took = now;
    }
    let output = stackgan(dir, &["demo"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("goes on in demo; done so far:\n  drawing and preparing 200 birds"),
        "{told}"
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let report = complete(dir, &said);
    let started = format!("was started {} times", STOPS.len() + 1);
    assert!(report.contains(&started), "{started}");
    let notes = notes(&demo);
    assert_eq!(notes["sittings"], STOPS.len() + 1);
    let parts: Vec<&Value> =
        notes["took"].as_array().unwrap().iter().map(|took| &took["part"]).collect();
    assert_eq!(parts, ["birds", "words", "stage1", "stage2", "sheets", "scores"]);
    // Every step of the encoder is in its curve.
    let losses = fs::read_to_string(demo.join("encoder-losses.jsonl")).unwrap();
    let words = notes["took"][1]["what"].as_str().unwrap().to_owned();
    assert!(words.contains(&format!(" {} steps", losses.lines().count())), "{words}");
    finished(dir, &said);
    ledger!(
        "program.demo",
        STOPS.len(),
        "stops of one demo, from its drawing to its scores, by SIGKILL, SIGINT and SIGTERM: the same command goes on to the report"
    );
}
