//! What weights that were made elsewhere do not say of themselves.

use std::path::PathBuf;

use anyhow::Result;
use stackgan_core::text::CharCnnRnnEncoder;

use crate::encoders;

/// Facts that the file does not contain.
pub(super) struct Origin {
    /// The text encoder's file.
    pub encoder: Option<PathBuf>,
    /// The dataset's name.
    pub dataset: Option<String>,
}

impl Origin {
    /// The encoder, before any standardisation.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no encoder.
    pub(super) fn encoder(&self) -> Result<Option<CharCnnRnnEncoder>> {
        let encoder = self.encoder.as_deref().map(encoders::load).transpose()?;
        Ok(encoder.map(|encoder| encoder.with_standardise(None)).transpose()?)
    }
}
