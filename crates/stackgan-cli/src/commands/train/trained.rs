//! The answer of a training: where the run is, how far it went, and how to go on.

use serde::Serialize;
use stackgan_core::Stage;
use stackgan_train::event::StopReason;
use stackgan_train::run::Outcome;
use stackgan_train::run_dir::RunDir;

use crate::exit::Exit;
use crate::output::{Answer, path_text, quoted};
use crate::run::{self, Planned};

/// A run that has ended: it is done, or was stopped after a checkpoint.
#[derive(Serialize)]
pub(super) struct Trained {
    /// The run folder.
    run: String,
    /// `done` or `stopped`, as in `run.json`.
    pub state: &'static str,
    /// How it ended, in the words of `run.json`.
    pub how: &'static str,
    exit_code: u8,
    /// Number of steps taken.
    pub step: u64,
    /// Number of steps of the whole run.
    steps: u64,
    model: Option<String>,
    /// What `--hours` came to when it began.
    plan: Option<Planned>,
    /// The command that goes on with it, unless it is done.
    pub next: Option<String>,
}

impl Trained {
    /// How a run of `stage` in the folder `dir` ended.
    pub(super) fn of(outcome: &Outcome, stage: Stage, dir: &RunDir, plan: Option<Planned>) -> Self {
        let done = outcome.reason == StopReason::Done;
        let next = || format!("stackgan train --stage {stage} --run {}", quoted(dir.path()));
        Self {
            run: path_text(dir.path()),
            state: if done { "done" } else { "stopped" },
            how: run::why(outcome.reason),
            exit_code: Exit::from(outcome.reason) as u8,
            step: outcome.step,
            steps: outcome.steps,
            model: outcome.model.is_file().then(|| path_text(&outcome.model)),
            plan,
            next: (!done).then(next),
        }
    }
}

impl Answer for Trained {
    /// The model of a run that is done; stderr says how to go on with another.
    fn lines(&self) -> Vec<String> {
        self.model.iter().filter(|_| self.next.is_none()).cloned().collect()
    }
}
