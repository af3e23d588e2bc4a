//! The folders of runs, found and listed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use stackgan_train::run_dir::RunDir;
use stackgan_train::run_files::RunFiles;

use super::record::Record;
use crate::exit::Problem;

/// The folder for run folders if `--run` is not given.
pub(crate) const RUNS: &str = "runs";

/// The run folders under `folder`, oldest first. A folder that `--run` named comes after the last
/// numbered one that was started before it.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut runs = RunDir::list(folder)?;
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let with_name = entries.filter(|path| Record::file(path).is_file() && !runs.contains(path));
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
        let name = entry.file_name();
        let step = name.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?;
        Some((step.parse().ok()?, entry.metadata().ok()?.len()))
    };
    let mut found: Vec<(u64, u64)> = entries.filter_map(of).collect();
    found.sort_unstable();
    found
}

/// An error of the storage without the last checkpoint that it speaks of, if the run has none, or if there is no run.
pub(crate) fn without_checkpoint(error: anyhow::Error, run: Option<&Path>) -> anyhow::Error {
    if run.is_some_and(|run| !checkpoints(run).is_empty()) {
        return error;
    }
    match error.downcast() {
        Ok(stackgan_train::Error::Storage { file, source, remedy, .. })
            if remedy.contains("last checkpoint") =>
        {
            Problem::storage(&file, &source).into()
        }
        Ok(other) => other.into(),
        Err(other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::{Exit, code};

    #[test]
    fn a_checkpoint_is_spoken_of_only_where_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let refused = || anyhow::Error::from(RunDir::open(&file.join("run")).unwrap_err());
        assert!(refused().to_string().contains("last checkpoint"), "{}", refused());
        for run in [None, Some(dir.path())] {
            let error = without_checkpoint(refused(), run);
            assert!(!error.to_string().contains("checkpoint"), "{error}");
            assert_eq!(code(&error), Exit::Storage);
        }
        let checkpoints = RunFiles::of(dir.path()).checkpoints();
        std::fs::create_dir(&checkpoints).unwrap();
        std::fs::write(checkpoints.join("step-0000002.safetensors"), "").unwrap();
        let error = without_checkpoint(refused(), Some(dir.path()));
        assert!(error.to_string().contains("last checkpoint"), "{error}");
        // A folder that another process holds has its own remedy.
        let held = RunDir::open(&dir.path().join("held")).unwrap();
        let taken = RunDir::open(held.path()).unwrap_err();
        let error = without_checkpoint(taken.into(), Some(held.path()));
        assert!(error.to_string().contains("another process"), "{error}");
    }
}
