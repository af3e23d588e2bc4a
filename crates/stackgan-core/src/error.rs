//! The errors of this crate: invalid model files, settings and pictures.

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate. `Display` prints what is wrong, what was expected and found, and a
/// remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a model of this program, or are damaged.
    #[error("{what}\n  expected {expected}, found {found}\n  do: {remedy}")]
    Model {
        /// What is wrong, in a few words.
        what: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
        /// What the user can do about it.
        remedy: String,
    },
    /// A tensor has another shape than what it is for.
    #[error("{what}\n  expected {expected}, found {found}\n  do: give a tensor of that shape")]
    Shape {
        /// What does not work, in a few words.
        what: &'static str,
        /// The shape that was expected.
        expected: String,
        /// The shape that was found.
        found: String,
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
    /// A picture cannot be made from the input, or cannot be encoded.
    #[error(
        "there can be no such picture\n  {0}\n  do: give three bytes for each pixel, or a batch (n, 3, height, width)"
    )]
    Picture(String),
    /// A painted picture holds values that are no numbers.
    #[error(
        "a picture came out without finite values\n  expected values in [-1, 1], found {found} in picture {place} of a \
         batch, counted from 0\n  do: check that the embeddings are those of the model's encoder, in its scale, and that \
         the model's weights are finite"
    )]
    NotFinite {
        /// The picture's place in its batch, from 0.
        place: usize,
        /// The first such value.
        found: f32,
    },
    /// A text cannot be stored in a PNG file.
    #[error(
        "a text cannot be stored beside the picture\n  {0}\n  do: give keywords of 1 to 79 Latin-1 characters, and \
         texts without U+0000"
    )]
    PictureText(String),
    /// A file does not contain the provenance of its picture.
    #[error(
        "this file does not say how its picture was painted\n  expected {expected}, found {found}\n  do: take a PNG \
         that `Provenance::encode_png` made, as it was written: many programs drop what is beside the pixels"
    )]
    Provenance {
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// An operation on tensors failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
