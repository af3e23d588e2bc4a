//! What a run holds of the machine stays as it is, however long it trains.

use std::fs;
use std::process::Child;

use crate::common::{training, with};
use crate::folder::{newest, start, wait_for};
use crate::ledger::{ledger, times};

/// Steps between two checkpoints, which are the clock of this test.
const EVERY: u64 = 50;

/// Resident memory in bytes, and the number of open files.
fn held(child: &Child) -> (u64, usize) {
    let of = |file: &str| format!("/proc/{}/{file}", child.id());
    let status = fs::read_to_string(of("status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (kib << 10, fs::read_dir(of("fd")).unwrap().count())
}

/// What an allocator may hold more at one moment than at another, in bytes.
const NOISE: u64 = 1 << 20;

/// At most 1 KiB a step may be added after the second third, and no open file. Checkpoints, grids and
/// reports are among the steps.
#[test]
fn a_long_run_holds_no_more_than_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let steps = times(1500, 20_000) as u64;
    let often = ["--set", "run.checkpoint_every=50", "--set", "run.sample_every=50"];
    let args = with(&training("1", "1000000", &run), &often);
    let mut child = start(dir.path(), &args);
    let mut most = Vec::new(); // in each third
    for third in 1..=3 {
        let mut held_most = (0, 0);
        for step in (steps * (third - 1) / 3..steps * third / 3).step_by(EVERY as usize) {
            wait_for("a checkpoint", &mut child, || newest(&run).is_some_and(|n| n > step));
            let (bytes, files) = held(&child);
            held_most = (held_most.0.max(bytes), held_most.1.max(files));
        }
        most.push(held_most);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let [_, (bytes, files), (later, later_files)] = most[..] else { panic!("{most:?}") };
    assert!(later <= bytes + (steps / 3) * 1024 + NOISE, "{most:?}");
    assert!(later_files <= files, "{most:?}");
    ledger!("program.held", steps, "steps of a run that holds no more memory and open files");
}
