//! The events of a training run, for progress bars, the run folder and tests.

use std::path::PathBuf;

/// An event of a training run. Further variants may be added.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TrainEvent {
    /// The run is about to take its first step.
    Started {
        /// The first step: 0, or the step from which the run was resumed.
        step: u64,
        /// Number of steps of the whole run.
        steps: u64,
        /// Number of steps of an epoch.
        steps_per_epoch: u64,
        /// Number of pictures in a batch.
        batch: usize,
        /// Number of trainable parameters of G.
        parameters_g: usize,
        /// Number of trainable parameters of D.
        parameters_d: usize,
    },
    /// A step was taken. Sent after every step; carries no values, so it is cheap.
    Step {
        /// Steps taken so far.
        step: u64,
    },
    /// The values of a step, sent every `run.report_every` steps.
    Report {
        /// Steps taken so far.
        step: u64,
        /// The epoch, counted from 0.
        epoch: u64,
        /// Learning rate of G.
        lr_g: f64,
        /// Learning rate of D.
        lr_d: f64,
        /// The loss terms and other watched values, by name.
        terms: Vec<(&'static str, f64)>,
        /// Seconds since the run was started or resumed.
        seconds: f64,
    },
    /// A sample grid was generated.
    Samples {
        /// Steps taken so far.
        step: u64,
        /// The PNG file.
        path: PathBuf,
    },
    /// A checkpoint was written and verified, and the model too, or a warning said that it was not.
    Checkpoint {
        /// Steps taken so far.
        step: u64,
        /// The file.
        path: PathBuf,
        /// Why the run ends with it; `None` if it goes on.
        ends: Option<StopReason>,
    },
    /// A step became non-finite and the run went back to a checkpoint. Later steps are taken, and
    /// reported, again.
    WentBack {
        /// The number of steps taken at that checkpoint.
        step: u64,
    },
    /// A warning for the user; the run continues.
    Warning {
        /// Steps taken so far.
        step: u64,
        /// The text.
        text: String,
    },
    /// The run ended.
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
    /// A signal, with its number.
    Signal(i32),
    /// The time budget was used up.
    TimeBudget,
    /// A file named `STOP` was found in the run folder.
    StopFile,
    /// The caller asked for it, for example because a service is shutting down.
    Requested,
}
