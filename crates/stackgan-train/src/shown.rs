//! Sentences of one's own for the grids of a run, with their vectors.

use candle_core::{DType, Tensor};
use stackgan_core::text::TextEncoder;

use crate::{Error, Result};

/// Sentences that have a row each in every grid of a run, below the rows of the dataset's captions.
/// They have no real pictures, and nothing of the training depends on them: a run has the same
/// weights, checkpoints and statistics with other sentences, or without any.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The sentences, each in one line.
    pub sentences: Vec<String>,
    /// Their vectors, `(sentences, dim)`, `f32`, on any device: of the encoder that made the run's
    /// embeddings and, like these, before the run standardises them.
    pub vectors: Tensor,
}

impl Shown {
    /// Sentences with the vectors of `encoder`, which must be that of the run's embeddings.
    ///
    /// # Errors
    /// Errors of the encoder.
    pub fn encoded(encoder: &dyn TextEncoder, sentences: Vec<String>) -> Result<Self> {
        let said: Vec<&str> = sentences.iter().map(String::as_str).collect();
        let vectors = encoder.encode(&said)?;
        Ok(Self { sentences, vectors })
    }

    /// Checks that there is a vector of `dim` values for each sentence.
    ///
    /// # Errors
    /// [`Error::Config`] when there is not, or when a sentence is blank or has several lines.
    pub(crate) fn check(&self, dim: usize) -> Result<()> {
        let refuse = |expected: String, found: String, remedy: &str| {
            let (key, remedy) = ("shown".to_owned(), remedy.to_owned());
            Err(Error::Config { key, expected, found, remedy })
        };
        let (dims, dtype) = (self.vectors.dims(), self.vectors.dtype());
        let count = self.sentences.len();
        if dims != [count, dim] || dtype != DType::F32 {
            return refuse(
                format!("f32 vectors of shape [{count}, {dim}]"),
                format!("{} of shape {dims:?}", dtype.as_str()),
                "encode the sentences with the encoder of the embeddings: `Shown::encoded`",
            );
        }
        // They are kept in a file, a line for each, and read back.
        let is_odd = |said: &&String| said.contains(['\n', '\r']) || said.trim().is_empty();
        match self.sentences.iter().find(is_odd) {
            None => Ok(()),
            Some(sentence) => refuse(
                "sentences of one line each, none of them blank".to_owned(),
                format!("`{}`", sentence.escape_debug()),
                "take the line breaks out of the sentence, or the blank sentence out of the list",
            ),
        }
    }
}
