//! Runs: their folders, what a run was told and when it was trained, what it wrote of itself, and the
//! training of a stage.

mod folders;
mod lasting;
mod measured;
mod pace;
mod planned;
mod record;
mod sitting;
mod stage;
mod terms;

pub(crate) use folders::{RUNS, checkpoints, is_run, list};
pub(crate) use lasting::lasting;
pub(crate) use measured::{Measure, Measurement, Measurements};
pub(crate) use pace::{laps, speed};
pub(crate) use planned::Planned;
pub(crate) use record::Record;
pub(crate) use sitting::{Sitting, told};
pub(crate) use stage::{Training, train_stage, why};
pub(crate) use terms::{Terms, terms};
