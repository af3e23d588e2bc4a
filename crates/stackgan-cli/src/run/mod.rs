//! Runs: their folders, what a run was told, and the training of a stage in one.

mod folders;
mod record;
mod stage;

pub(crate) use folders::{RUNS, is_run, list};
pub(crate) use record::Record;
pub(crate) use stage::train_stage;
