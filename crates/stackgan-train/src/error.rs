//! The errors of training.

use std::path::PathBuf;

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate. `Display` prints what failed, where, what was expected and found, and a
/// remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of range, or settings contradict each other. Exit code 2.
    #[error("setting `{key}` cannot be used\n  expected {expected}, found {found}\n  do: {remedy}")]
    Config {
        /// The key of the setting.
        key: String,
        /// The allowed range.
        expected: String,
        /// Its value.
        found: String,
        /// What the user can do.
        remedy: String,
    },
    /// A checkpoint or model file is damaged, or belongs to another run. Exit code 3.
    #[error("{what}\n  file: {}\n  expected {expected}, found {found}\n  do: {remedy}", file.display())]
    Checkpoint {
        /// What is wrong.
        what: String,
        /// The file.
        file: PathBuf,
        /// The expected content.
        expected: String,
        /// The content that was found.
        found: Box<str>,
        /// What the user can do.
        remedy: String,
    },
    /// A storage operation failed. Exit code 6.
    #[error("cannot {action}\n  file: {}\n  {source}\n  do: {remedy}", file.display())]
    Storage {
        /// The attempted operation, as a verb.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
        /// What the user can do.
        remedy: String,
    },
    /// A loss or gradient is not finite. Exit code 7.
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
    /// Data could not be read.
    #[error(transparent)]
    Data(Box<stackgan_data::Error>),
    /// A network or model file is invalid.
    #[error(transparent)]
    Core(#[from] stackgan_core::Error),
    /// An error of the measures and the networks that measure.
    #[error(transparent)]
    Eval(#[from] stackgan_eval::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// Replaces the term of a non-finite error by the first non-finite tensor found inside
    /// `within`.
    pub(crate) fn naming(mut self, within: &str, first: Option<(String, f64)>) -> Self {
        if let (Self::NonFinite { term, value, .. }, Some((name, found))) = (&mut self, first) {
            (*term, *value) = (format!("{name}, in {within}"), found);
        }
        self
    }

    /// Says of a non-finite error in the game of a Stage-I that is tuned under Stage-II whose it is: the
    /// terms of both have the same names.
    pub(crate) fn of_stage1(mut self) -> Self {
        if let Self::NonFinite { term, .. } = &mut self {
            term.insert_str(0, "Stage-I's own ");
        }
        self
    }

    /// Replaces the remedy of a non-finite error.
    pub(crate) fn advising(mut self, advice: String) -> Self {
        if let Self::NonFinite { remedy, .. } = &mut self {
            *remedy = advice;
        }
        self
    }
}

impl From<stackgan_data::Error> for Error {
    fn from(error: stackgan_data::Error) -> Self {
        Self::Data(Box::new(error))
    }
}
