//! The errors of this crate.

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate. `Display` prints what is wrong, what was expected and found, and a
/// remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is not suitable for a measure.
    #[error("{measure} cannot be measured\n  expected {expected}, found {found}\n  do: {remedy}")]
    Input {
        /// The measure.
        measure: &'static str,
        /// What the measure needs.
        expected: String,
        /// What was found.
        found: String,
        /// What the user can do about it.
        remedy: &'static str,
    },
    /// The weights are damaged or belong to another network.
    #[error(
        "the weights do not fit {network}\n  expected {expected}, found {found}\n  do: {remedy}"
    )]
    Weights {
        /// The network.
        network: &'static str,
        /// A tensor that the network needs.
        expected: String,
        /// What was found.
        found: String,
        /// What the user can do about it.
        remedy: &'static str,
    },
    /// An operation on tensors failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
