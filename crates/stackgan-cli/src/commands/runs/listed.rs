//! The runs of a folder, also those whose record is lost.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use stackgan_train::run_files::RunFiles;

use crate::run::{is_run, list};

/// The run folders under `folder`, oldest first. One without a record is known by its lock, beside
/// its settings or statistics.
///
/// # Errors
/// When the folder cannot be listed.
pub(super) fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut runs = list(folder)?;
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let lost = entries.filter(|path| begun(path).is_some() && is_run(path) && !runs.contains(path));
    let mut lost: Vec<_> = lost.map(|path| (begun(&path), path)).collect();
    lost.sort();
    for (time, path) in lost {
        let before = runs.iter().rposition(|run| begun(run) <= time);
        runs.insert(before.map_or(0, |place| place + 1), path);
    }
    Ok(runs)
}

/// The start time of a run: its lock is created then and never written to.
fn begun(run: &Path) -> Option<SystemTime> {
    RunFiles::of(run).lock().metadata().and_then(|lock| lock.modified()).ok()
}
