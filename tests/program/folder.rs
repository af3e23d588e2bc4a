//! Tools for tests of a run folder: start a trainer that can be killed, and read the folder.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::program;

/// Starts the program, so that it can be killed. Pipes take what it says.
pub(crate) fn start(dir: &Path, args: &[impl AsRef<OsStr>]) -> Child {
    program(dir, &[])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Returns the step in the newest checkpoint's name.
pub(crate) fn newest(run: &Path) -> Option<u64> {
    let names = fs::read_dir(run.join("checkpoints")).ok()?;
    let step = |name: &str| name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok();
    names.filter_map(|e| step(&e.ok()?.file_name().to_string_lossy())).max()
}

/// Returns whether a checkpoint is being written.
pub(crate) fn saving(run: &Path) -> bool {
    fs::read_dir(run.join("checkpoints")).is_ok_and(|mut names| {
        names.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().starts_with(".tmp-")))
    })
}

/// Returns the steps in `stats.jsonl`, without the times.
pub(crate) fn stats(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("stats.jsonl")).unwrap_or_default();
    let without_clock = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).ok()?;
        for clock in ["seconds", "since", "loading"] {
            value.as_object_mut()?.remove(clock);
        }
        Some(value.to_string())
    };
    text.lines().filter_map(without_clock).collect()
}

/// Waits until `seen` returns true. Kills the program after a minute.
pub(crate) fn wait_for(what: &str, child: &mut Child, seen: impl Fn() -> bool) {
    let started = Instant::now();
    while !seen() {
        if started.elapsed() > Duration::from_secs(60) {
            drop(child.kill());
            panic!("waited a minute for {what}");
        }
        assert!(child.try_wait().unwrap().is_none(), "ended before {what}");
        std::thread::sleep(Duration::from_micros(300));
    }
}

pub(crate) fn last(run: &Path, steps: u64) -> Vec<u8> {
    fs::read(run.join(format!("checkpoints/step-{steps:07}.safetensors"))).unwrap()
}

/// Returns the arguments to resume a run by its folder alone: `--run`.
pub(crate) fn again(run: &str) -> Vec<String> {
    ["train", "--stage", "1", "--run", run, "-q"].map(str::to_owned).to_vec()
}

/// Sends a signal: `-TERM`.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}
