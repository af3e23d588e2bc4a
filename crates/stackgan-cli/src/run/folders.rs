//! The folders of runs, found and listed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use stackgan_train::run_dir::RunDir;
use stackgan_train::run_files::{RunFiles, checkpoint_step};

use super::record::Record;

/// The folder for run folders if `--run` is not given.
pub(crate) const RUNS: &str = "runs";

/// The run folders under `folder`, oldest first. A folder that `--run` named comes after the last
/// numbered one that was started before it. One whose record is lost is known by its lock, beside its
/// settings or statistics.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut runs = RunDir::list(folder)?;
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let begun_here = |path: &Path| begun(path).is_some() && is_run(path);
    let with_name = entries.filter(|path| Record::file(path).is_file() || begun_here(path));
    let with_name = with_name.filter(|path| !runs.contains(path));
    let mut with_name: Vec<_> = with_name.map(|path| (begun(&path), path)).collect();
    with_name.sort();
    for (time, path) in with_name {
        let before = runs.iter().rposition(|run| begun(run) <= time);
        runs.insert(before.map_or(0, |place| place + 1), path);
    }
    Ok(runs)
}

/// The start time of a run: its lock is created then and never written to.
fn begun(run: &Path) -> Option<SystemTime> {
    RunFiles::of(run).lock().metadata().and_then(|lock| lock.modified()).ok()
}

/// Whether a folder looks like a run folder.
pub(crate) fn is_run(path: &Path) -> bool {
    let files = RunFiles::of(path);
    [Record::file(path), files.config(), files.stats()].iter().any(|file| file.is_file())
}

/// The checkpoints of a run: steps and bytes, oldest first. No file is opened.
pub(crate) fn checkpoints(run: &Path) -> Vec<(u64, u64)> {
    let entries =
        std::fs::read_dir(RunFiles::of(run).checkpoints()).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| {
        Some((checkpoint_step(&entry.path())?, entry.metadata().ok()?.len()))
    };
    let mut found: Vec<(u64, u64)> = entries.filter_map(of).collect();
    found.sort_unstable();
    found
}
