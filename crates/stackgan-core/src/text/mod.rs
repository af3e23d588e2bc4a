//! Text encoders: from sentences to vectors.
//!
//! The rest of the program uses the trait [`TextEncoder`]. [`CharCnnRnnEncoder`] is the encoder of
//! the paper (Reed et al., CVPR and ICML 2016), in both published variants and any width;
//! [`state_dict`] reads published weights. With the feature `sentence`, `SentenceEncoder` is a BERT
//! with pooling, as published for sentence-transformers.

pub mod alphabet;
mod char_cnn_rnn;
mod encoder;
pub mod losses;
mod ops;
#[cfg(feature = "sentence")]
mod sentence;
pub mod state_dict;

use candle_core::Tensor;

use crate::Result;

pub(crate) use char_cnn_rnn::STEPS;
pub use char_cnn_rnn::{CharCnnRnn, CharCnnRnnConfig, Recurrence, TextInit};
pub use encoder::{CharCnnRnnEncoder, Standardise};
pub(crate) use ops::THRESHOLD;
#[cfg(feature = "sentence")]
pub use sentence::{SentenceEncoder, SentenceFiles};

/// The beginning of an encoder's fingerprint, as it is shown to people: what it is of, if it says
/// so, and twelve digits.
#[must_use]
pub fn short_fingerprint(fingerprint: &str) -> &str {
    let digits = fingerprint.rfind('-').map_or(0, |at| at + 1);
    fingerprint.get(..digits + 12).unwrap_or(fingerprint)
}

/// Converts captions to the vectors on which a model is conditioned.
pub trait TextEncoder: std::fmt::Debug + Send + Sync {
    /// Returns the width of the vectors.
    fn dim(&self) -> usize;

    /// Returns a hash, in hexadecimal, of everything that determines the vectors.
    ///
    /// It distinguishes encoders of the same width: a model stores the fingerprint of the encoder
    /// that it was trained with.
    fn fingerprint(&self) -> String;

    /// Returns the vectors of captions, `(captions, dim)`, `f32`.
    ///
    /// The vector of a caption does not depend on the other captions. The vectors are on the
    /// encoder's own device, which may differ from that of the model.
    ///
    /// # Errors
    /// An operation on tensors that fails.
    fn encode(&self, captions: &[&str]) -> Result<Tensor>;

    /// Returns a message about the part of a caption that the encoder does not read, or `None` if it
    /// reads everything.
    fn unread(&self, caption: &str) -> Option<String>;
}
