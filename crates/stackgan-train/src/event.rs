//! What happens in a run, told to whoever listens: progress bars, the run folder, tests.

use std::path::PathBuf;

/// Something that happened. A closed list: front ends match on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TrainEvent {
    /// The run is about to take its first step.
    Started {
        /// The step it starts at: 0, or where it was resumed.
        step: u64,
        /// Steps of the whole run.
        steps: u64,
        /// Steps of an epoch.
        steps_per_epoch: u64,
        /// Pictures in a batch.
        batch: usize,
        /// Trainable parameters of G and D.
        parameters: (usize, usize),
    },
    /// A step was taken. Comes every step, without numbers: cheap.
    Step {
        /// Steps taken so far.
        step: u64,
    },
    /// The numbers of a step, every `run.report_every` steps.
    Report {
        /// Steps taken so far.
        step: u64,
        /// The epoch, counted from 0.
        epoch: u64,
        /// Learning rates of G and D.
        lr: (f64, f64),
        /// The loss terms and what else was watched, by name.
        terms: Vec<(&'static str, f64)>,
        /// Seconds since the run was started or resumed.
        seconds: f64,
    },
    /// A grid was painted.
    Samples {
        /// Steps taken so far.
        step: u64,
        /// The PNG file.
        path: PathBuf,
    },
    /// A checkpoint was written and verified.
    Checkpoint {
        /// Steps taken so far.
        step: u64,
        /// The file.
        path: PathBuf,
    },
    /// A step became non-finite and the run went back to a checkpoint: what was told of later steps is told again.
    WentBack {
        /// The steps that the checkpoint has behind it.
        step: u64,
    },
    /// Something that a person should know; the run goes on.
    Warning {
        /// Steps taken so far.
        step: u64,
        /// The text.
        text: String,
    },
    /// The run is over.
    Finished {
        /// Steps taken so far.
        step: u64,
        /// Why it ended.
        reason: StopReason,
    },
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Every step was taken.
    Done,
    /// A signal: the number.
    Signal(i32),
    /// The time budget is used up.
    TimeBudget,
    /// A file named `STOP` in the run folder.
    StopFile,
    /// Whoever trains asked for it: a button, a service that is shut down.
    Requested,
}
