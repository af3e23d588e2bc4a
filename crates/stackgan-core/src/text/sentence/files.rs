//! The files of a sentence encoder, as sentence-transformers writes them.

use serde::Deserialize;

use crate::digest::Sum;
use crate::{Error, Result};

/// The files in the folder of a sentence encoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentenceFiles<'a> {
    /// `config.json`: the sizes of the BERT.
    pub config: &'a [u8],
    /// `tokenizer.json`.
    pub tokenizer: &'a [u8],
    /// `model.safetensors`.
    pub weights: &'a [u8],
    /// `modules.json`: the modules after the BERT. If it is missing, pooling is the mean without
    /// normalisation, as in sentence-transformers.
    pub modules: Option<&'a [u8]>,
    /// `1_Pooling/config.json`: how tokens become one vector.
    pub pooling: Option<&'a [u8]>,
    /// `sentence_bert_config.json`: the largest number of tokens of a caption.
    pub limits: Option<&'a [u8]>,
}

impl SentenceFiles<'_> {
    /// Returns the SHA-256 of everything that determines the vectors.
    pub(super) fn fingerprint(&self) -> String {
        let mut sum = Sum::of(b"sentence-encoder");
        let given = [Some(self.config), Some(self.tokenizer), Some(self.weights)];
        for file in given.into_iter().chain([self.modules, self.pooling, self.limits]) {
            let file = file.unwrap_or_default();
            sum.add(&(file.len() as u64).to_le_bytes());
            sum.add(file);
        }
        sum.finish()
    }
}

/// Reads a file of JSON.
pub(super) fn json<T: for<'de> Deserialize<'de>>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| wrong(name, "the JSON of sentence-transformers", &e.to_string()))
}

/// Returns the error of a file that cannot be used.
pub(super) fn wrong(file: &str, expected: &str, found: &str) -> Error {
    Error::Model {
        what: format!("the sentence encoder's {file} cannot be used"),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy: "take a BERT of sentence-transformers, such as hub:sentence-transformers/all-MiniLM-L6-v2"
            .to_owned(),
    }
}
