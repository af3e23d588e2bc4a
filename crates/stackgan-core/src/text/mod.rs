//! Sentences to vectors.
//!
//! [`TextEncoder`] is what the rest of the program knows. [`CharCnnRnnEncoder`] is the encoder of the paper (Reed et al.,
//! CVPR and ICML 2016), in both published variants and any width; [`state_dict`] takes its weights from elsewhere.
//! With the feature `sentence`, `SentenceEncoder` is a BERT with pooling, as sentence-transformers publishes them.

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

pub use char_cnn_rnn::{CharCnnRnn, CharCnnRnnConfig, Recurrence, TextInit};
pub use encoder::{CharCnnRnnEncoder, Standardise};
#[cfg(feature = "sentence")]
pub use sentence::{SentenceEncoder, SentenceFiles};

/// Turns captions into the vectors that a model is conditioned on.
pub trait TextEncoder: Send + Sync {
    /// Width of the vectors.
    fn dim(&self) -> usize;

    /// A hash, in hexadecimal, of everything that decides the vectors. Two encoders of one width are told apart by it:
    /// a model keeps the fingerprint of the encoder that it was trained with.
    fn fingerprint(&self) -> String;

    /// Vectors `(captions, dim)`, `f32`. The vector of a caption does not depend on its neighbours.
    ///
    /// # Errors
    /// When an operation on tensors fails.
    fn encode(&self, captions: &[&str]) -> Result<Tensor>;
}
