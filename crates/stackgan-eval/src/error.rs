//! What can go wrong while measuring.

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate. `Display` prints what, expected and found, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is to be measured does not allow it.
    #[error("{measure} cannot be measured\n  expected {expected}, found {found}\n  do: {remedy}")]
    Input {
        /// The measure.
        measure: &'static str,
        /// What it needs.
        expected: String,
        /// What it was given.
        found: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// Weights of another network, or damaged ones.
    #[error(
        "the weights do not fit {network}\n  expected {expected}, found {found}\n  do: {remedy}"
    )]
    Weights {
        /// The network.
        network: &'static str,
        /// A tensor that it needs.
        expected: String,
        /// What there is.
        found: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// An operation on tensors failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
