//! What can go wrong at the boundaries of this crate: model files, captions, pictures.

/// The result of everything at this crate's boundaries.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate. `Display` prints what, expected and found, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no model of ours, or a damaged one.
    #[error("{what}\n  expected {expected}, found {found}\n  do: {remedy}")]
    Model {
        /// What is wrong, in a few words.
        what: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
        /// What the user can do.
        remedy: String,
    },
    /// A setting is out of its range.
    #[error(
        "setting `{key}` cannot be used\n  expected {expected}, found {found}\n  do: change `{key}`"
    )]
    Config {
        /// The key of the setting.
        key: &'static str,
        /// Its range.
        expected: String,
        /// Its value.
        found: String,
    },
    /// A picture cannot be made of what was given, or encoded.
    #[error(
        "there can be no such picture\n  {0}\n  do: give three bytes for each pixel, or a batch (n, 3, height, width)"
    )]
    Picture(String),
    /// A file does not say how its picture was painted.
    #[error(
        "this file does not say how its picture was painted\n  expected {expected}, found {found}\n  do: take a PNG \
         that `Provenance::encode_png` made, as it was written: many programs drop what is beside the pixels"
    )]
    Provenance {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// An operation on tensors failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
