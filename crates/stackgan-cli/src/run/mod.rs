//! Runs: their folders, what a run was told and when it was trained, and the training of a stage.

mod folders;
mod lasting;
mod planned;
mod record;
mod sitting;
mod stage;

pub(crate) use folders::{RUNS, checkpoints, is_run, list};
pub(crate) use lasting::lasting;
pub(crate) use planned::Planned;
pub(crate) use record::Record;
pub(crate) use sitting::{Sitting, told};
pub(crate) use stage::{Training, train_stage, why};
