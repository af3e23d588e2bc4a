//! What a run does with existing files in its folder and with non-finite values.
//!
//! None of this affects the results: a run that meets neither is the same under every policy.

use serde::{Deserialize, Serialize};

use crate::step::Checks;

/// What to do with checkpoints that already exist in the run folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Resume from the newest valid checkpoint, if there is one.
    #[default]
    Auto,
    /// Resume from the newest checkpoint, and fail if it is damaged.
    Strict,
    /// Refuse to train in a folder with checkpoints.
    ///
    /// Under every policy a run that has begun and whose checkpoints are gone is refused.
    Never,
}

/// What to do when a loss, a gradient or a value of the state is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNonFinite {
    /// End the run; the last checkpoint is kept.
    #[default]
    Stop,
    /// Go back to the newest checkpoint and skip the failed step when it comes again. End the run
    /// after this many skipped steps.
    Rollback(u64),
}

/// All policies of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What to do with existing checkpoints.
    pub resume: Resume,
    /// Keys of the configuration that may differ from the checkpoint's although they affect the
    /// results.
    pub allow_change: Vec<String>,
    /// What to do when a value is not finite.
    pub on_nonfinite: OnNonFinite,
    /// When the values of a step are checked; `None` uses the default of the device.
    pub checks: Option<Checks>,
}

impl From<Resume> for Policy {
    fn from(resume: Resume) -> Self {
        Self { resume, ..Self::default() }
    }
}
