//! What can go wrong while training.

use std::path::PathBuf;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate. `Display` prints what, place, expected and found, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of range or settings contradict each other. Exit code 2.
    #[error("setting `{key}` cannot be used\n  expected {expected}, found {found}\n  do: {remedy}")]
    Config {
        /// The key of the setting.
        key: String,
        /// Its range.
        expected: String,
        /// Its value.
        found: String,
        /// What the user can do.
        remedy: String,
    },
    /// A checkpoint or model file is damaged or belongs to another run. Exit code 3.
    #[error("{what}\n  file: {}\n  expected {expected}, found {found}\n  do: {remedy}", file.display())]
    Checkpoint {
        /// What is wrong.
        what: String,
        /// The file.
        file: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: Box<str>,
        /// What the user can do.
        remedy: String,
    },
    /// The storage refused. Exit code 6.
    #[error("cannot {action}\n  file: {}\n  {source}\n  do: {remedy}", file.display())]
    Storage {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
        /// What the user can do.
        remedy: String,
    },
    /// A loss or gradient is no number. Exit code 7.
    #[error(
        "training became non-finite\n  at step {step}: {term}\n  expected a finite number, found {value}\n  do: {remedy}"
    )]
    NonFinite {
        /// The step, counted from 0.
        step: u64,
        /// The loss term or gradient.
        term: String,
        /// Its value.
        value: f64,
        /// What the user can do.
        remedy: String,
    },
    /// The data could not be read.
    #[error(transparent)]
    Data(Box<stackgan_data::Error>),
    /// A network or model file.
    #[error(transparent)]
    Core(#[from] stackgan_core::Error),
    /// An error of the measures and the networks that measure.
    #[error(transparent)]
    Eval(#[from] stackgan_eval::Error),
    /// An operation on tensors failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// The same, naming the first tensor that is no number inside what was found to be none.
    pub(crate) fn naming(self, within: &str, first: Option<(String, f64)>) -> Self {
        match (self, first) {
            (Self::NonFinite { step, remedy, .. }, Some((name, value))) => {
                Self::NonFinite { step, term: format!("{name}, in {within}"), value, remedy }
            }
            (error, _) => error,
        }
    }

    /// The same, with another last line.
    pub(crate) fn advising(self, advice: String) -> Self {
        match self {
            Self::NonFinite { step, term, value, .. } => {
                Self::NonFinite { step, term, value, remedy: advice }
            }
            error => error,
        }
    }
}

impl From<stackgan_data::Error> for Error {
    fn from(error: stackgan_data::Error) -> Self {
        Self::Data(Box::new(error))
    }
}
