//! A kill or an error at every system call by which a running program saves; strace makes the call
//! fail. `crates/stackgan-train/tests/it/faults.rs` does the same, operation by operation, on a
//! simulated disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::common::{done, program, training};
use crate::folder::{last, saving, stats};
use crate::ledger::{ledger, times};

const CALLS: &str =
    "openat,read,write,fsync,fdatasync,rename,unlink,mkdir,flock,getdents64,ftruncate";

/// Returns the arguments for six steps with a checkpoint after every second one.
fn args(run: &Path) -> Vec<String> {
    training("1", "6", run)
}

/// Runs a training under strace, which traces only the checkpoints' files. With `inject`, a call
/// fails.
fn traced(run: &Path, log: &Path, inject: Option<&str>) -> std::io::Result<Option<i32>> {
    let folder = run.join("checkpoints");
    let mut paths = vec![folder.display().to_string()];
    for step in [0, 2, 4, 6] {
        let file = |prefix: &str| folder.join(format!("{prefix}step-{step:07}.safetensors"));
        paths.extend(["", ".tmp-"].map(|prefix| file(prefix).display().to_string()));
    }
    let (log, calls) = (log.display().to_string(), format!("trace={CALLS}"));
    let mut strace = vec!["strace", "-f", "-qq", "-e", &calls, "-o", &log];
    if !inject.is_some_and(|inject| inject.contains("signal")) {
        strace.push("--seccomp-bpf"); // faster; with it strace 6.1 sends no signals
    }
    strace.extend(paths.iter().flat_map(|path| ["-P", path]));
    let inject = inject.map(|inject| format!("inject={inject}"));
    strace.extend(inject.iter().flat_map(|inject| ["-e", inject]));
    let mut command = program(run.parent().unwrap(), &strace);
    command.args(args(run)).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?.code())
}

/// Returns the number of calls of each kind.
fn counted(log: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let call = line.split_whitespace().nth(1).and_then(|rest| rest.split_once('('));
        if let Some((call, _)) = call {
            *counts.entry(call.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// candle reads it for every product of plain tensors, unless it is given the number of threads.
#[test]
fn how_many_cores_there_are_is_not_read_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let strace = ["strace", "-f", "-qq", "-e", "trace=openat", "-o", "log"];
    let mut command = program(dir.path(), &strace);
    command.args(args(&dir.path().join("run"))).env_remove("RAYON_NUM_THREADS");
    if !command.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: strace cannot be used here");
        return;
    }
    let opened = fs::read_to_string(dir.path().join("log")).unwrap();
    let reads = opened.lines().filter(|line| line.contains("/proc/cpuinfo")).count();
    assert!(opened.contains("config.toml") && reads <= 4, "/proc/cpuinfo was read {reads} times");
}

/// Whatever fails at whatever call, the run continues from the saved state and ends in the same
/// bytes as one without faults. An error gives code 6, or a later save succeeds instead.
#[test]
fn a_fault_at_every_system_call_of_a_save_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, log) = (dir.path().join("whole"), dir.path().join("log"));
    done(dir.path(), &args(&whole));
    let counted_run = dir.path().join("counted");
    if !traced(&counted_run, &log, None).is_ok_and(|code| code == Some(0)) {
        eprintln!("skipped: strace cannot be used here");
        return;
    }
    assert!(last(&counted_run, 6) == last(&whole, 6));
    let faults = ["signal=KILL", "error=EIO", "error=ENOSPC", "error=EINTR"];
    let points: Vec<(String, usize)> = counted(&log)
        .into_iter()
        .flat_map(|(call, n)| (1..=n).map(move |when| (call.clone(), when)))
        .collect();
    for call in ["openat", "write", "fsync", "rename"] {
        assert!(points.iter().any(|(c, when)| c == call && *when >= 3), "{call}: {points:?}");
    }
    let all = points.len() * faults.len();
    let stride = (all / times(36, all)).max(1);
    let (mut runs, mut told) = (0, 0);
    // A stride that covers all faults: neighbours in the list meet different ones.
    for case in (0..all).step_by(stride) {
        let ((call, when), fault) =
            (&points[case / faults.len()], faults[(case + case / faults.len()) % faults.len()]);
        let what = format!("{fault} at {call} {when}");
        let run = dir.path().join(format!("run-{case}"));
        let code = traced(&run, &log, Some(&format!("{call}:{fault}:when={when}"))).unwrap();
        match fault {
            "signal=KILL" => assert_eq!(code, None, "{what}: not killed"),
            _ => assert!(matches!(code, Some(0 | 6)), "{what}: {code:?}"),
        }
        told += usize::from(code == Some(6));
        done(dir.path(), &args(&run));
        assert!(last(&run, 6) == last(&whole, 6), "{what}: other bytes");
        assert!(stats(&run) == stats(&whole) && !saving(&run), "{what}");
        fs::remove_dir_all(&run).unwrap();
        runs += 1;
    }
    assert!(runs >= 36 && told > 0, "{runs} runs, {told} told");
    ledger!(
        "program.operations",
        runs,
        "kill, EIO, ENOSPC or EINTR at a system call of the program's saves, by strace: resumed to the same bytes"
    );
}
