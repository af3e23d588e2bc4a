//! The facts about a run from its folder, read without disturbing a process that trains in it.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};
use stackgan_core::Stage;
use stackgan_train::config::TrainConfig;
use stackgan_train::run_files::RunFiles;

use crate::output::path_text;
use crate::run::{Record, Sitting, Terms, checkpoints, laps, speed, terms};

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// A process trains in the folder.
    Running,
    /// Every step was taken.
    Done,
    /// Stopped and saved.
    Stopped,
    /// Ended with an error.
    Failed,
    /// The record says that it is running, but no process is: it was killed, or the machine went
    /// down.
    Interrupted,
    /// There is no record, as in folders of early versions.
    Unknown,
}

impl State {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Unknown => "unknown",
        }
    }
}

/// The facts about a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Facts {
    /// The folder's name.
    pub run: String,
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    pub state: State,
    pub preset: Option<String>,
    /// What it trains on, if it was named.
    pub data: Option<String>,
    pub stage: Option<Stage>,
    /// Number of steps at the last report, or at a later checkpoint.
    pub step: u64,
    /// Number of steps at the last report; 0 before the first.
    #[serde(skip)]
    pub reported: u64,
    /// Number of steps of the whole run.
    pub steps: Option<u64>,
    pub epoch: u64,
    pub batch: Option<usize>,
    pub steps_a_second: Option<f64>,
    pub seconds_left: Option<f64>,
    /// Number of steps at the newest checkpoint.
    pub checkpoint: Option<u64>,
    pub model: bool,
    /// Time of the last report in seconds since 1970.
    pub updated: Option<u64>,
    /// The values of the last report, by name.
    pub last: BTreeMap<String, f64>,
    /// Each time that it was trained.
    pub sittings: Vec<Sitting>,
}

/// Serde fails at a path that is no UTF-8.
fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path_text(path))
}

impl Facts {
    /// Reads a run folder.
    pub(super) fn read(path: &Path) -> Self {
        Self::with(path, &terms(&RunFiles::of(path).stats()))
    }

    /// As [`Self::read`], with values that were already read.
    pub(super) fn with(path: &Path, terms: &Terms) -> Self {
        let (record, files) = (Record::read(path), RunFiles::of(path));
        let config = std::fs::read_to_string(files.config())
            .ok()
            .and_then(|text| TrainConfig::from_toml(&text).ok());
        let stage = record.as_ref().map(|r| r.stage);
        let stage = stage.or_else(|| config.as_ref().map(|c| c.stage));
        let mut last: BTreeMap<String, f64> = terms
            .iter()
            .filter_map(|(name, points)| Some((name.clone(), points.last()?.1)))
            .collect();
        let reported = terms.values().filter_map(|p| p.last()).map(|p| p.0).fold(0.0, f64::max);
        let checkpoint = checkpoints(path).last().map(|(step, _)| *step);
        // A stop saves between two reports.
        let reported = reported as u64;
        let step = reported.max(checkpoint.unwrap_or(0));
        let epoch = last.remove("epoch").unwrap_or(0.0) as u64;
        last.retain(|name, _| !["step", "seconds", "since"].contains(&name.as_str()));
        let planned = config.as_ref().map(|c| c.optim.steps).filter(|steps| *steps > 0);
        let steps = record.as_ref().and_then(|r| r.steps).or(planned);
        let speed = speed(&laps(terms));
        let left = steps.zip(speed).map(|(all, speed)| all.saturating_sub(step) as f64 / speed);
        let updated = files.stats().metadata().and_then(|m| m.modified()).ok();
        let updated = updated.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map(|d| d.as_secs());
        Self {
            run: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_path_buf(),
            state: state(path, record.as_ref()),
            preset: record.as_ref().map(|r| r.preset.clone()),
            data: record.as_ref().and_then(|r| r.data.as_deref()).map(path_text),
            stage,
            step,
            reported,
            steps,
            epoch,
            batch: config.map(|c| c.optim.batch),
            steps_a_second: speed,
            seconds_left: left,
            checkpoint,
            model: files.model().is_file(),
            updated,
            last,
            sittings: record.map(|r| r.sittings).unwrap_or_default(),
        }
    }

    /// Completed share of the run, 0 to 1; 0 if its length is not known.
    pub(super) fn done(&self) -> f64 {
        self.steps.map_or(0.0, |steps| (self.step as f64 / steps.max(1) as f64).min(1.0))
    }
}

fn state(path: &Path, record: Option<&Record>) -> State {
    match record.map(|r| r.state.as_str()) {
        None => State::Unknown,
        Some("done") => State::Done,
        Some("stopped") => State::Stopped,
        Some("failed") => State::Failed,
        Some(_) if held(path) => State::Running,
        Some(_) => State::Interrupted,
    }
}

/// Whether a process holds the folder's lock. The check releases the lock at once, and is only made
/// if the record says "running".
fn held(path: &Path) -> bool {
    File::open(RunFiles::of(path).lock())
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_what_has_become_of_its_run() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path();
        assert_eq!(Facts::read(run).state, State::Unknown);
        let record = |state: &str| {
            let text = format!(
                "{{\"preset\":\"toy\",\"stage\":1,\"data\":null,\"encoder\":null,\"stage1\":null,\"sittings\":[],\"version\":\"0\",\"state\":\"{state}\",\"steps\":40}}"
            );
            std::fs::write(run.join("run.json"), text).unwrap();
        };
        record("running");
        assert_eq!(Facts::read(run).state, State::Interrupted);
        let lock = File::create(run.join("LOCK")).unwrap();
        lock.lock().unwrap();
        assert_eq!(Facts::read(run).state, State::Running);
        record("done");
        let stats = "{\"step\":10,\"epoch\":0,\"seconds\":5.0,\"since\":0,\"d_loss\":1.5}\n{\"step\":20,\"epoch\":1,\"seconds\":10.0,\"since\":0,\"d_loss\":1.25}\n";
        std::fs::write(run.join("stats.jsonl"), stats).unwrap();
        std::fs::create_dir(run.join("checkpoints")).unwrap();
        std::fs::write(run.join("checkpoints/step-0000030.safetensors"), "x").unwrap();
        std::fs::write(run.join("checkpoints/.tmp-step-0000040.safetensors"), "x").unwrap();
        let facts = Facts::read(run);
        assert_eq!(
            (facts.state, facts.step, facts.reported, facts.epoch, facts.checkpoint),
            (State::Done, 30, 20, 1, Some(30))
        );
        assert_eq!((facts.steps_a_second, facts.seconds_left), (Some(2.0), Some(5.0)));
        assert_eq!(facts.last, [("d_loss".to_owned(), 1.25)].into());
    }
}
