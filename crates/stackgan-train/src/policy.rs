//! What a run does with what is already in its folder, and with numbers that go bad. None of it is part of the
//! mathematics: a run that meets neither is the same under every policy.

use crate::step::Looks;

/// What to do with checkpoints that the run folder already has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Go on from the newest valid one, if there is one.
    #[default]
    Auto,
    /// Go on from the newest one, and refuse where it is not whole.
    Strict,
    /// Refuse to train over them.
    Never,
}

/// What to do when a loss, a gradient or a value of the state is no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNonFinite {
    /// End the run; the last checkpoint stays.
    #[default]
    Stop,
    /// Go back to the newest checkpoint and leave that step out when it comes again; end the run when that has been done so
    /// often.
    Rollback(u64),
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What to do with checkpoints.
    pub resume: Resume,
    /// Keys of the configuration that may differ from the checkpoint's although they change the mathematics.
    pub allow_change: Vec<String>,
    /// What to do when a number goes bad.
    pub on_nonfinite: OnNonFinite,
    /// When a step's numbers are looked at; none: as suits the device.
    pub looks: Option<Looks>,
}

impl From<Resume> for Policy {
    fn from(resume: Resume) -> Self {
        Self { resume, ..Self::default() }
    }
}
