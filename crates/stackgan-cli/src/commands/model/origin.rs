//! What weights that were made elsewhere do not say of themselves, and where they may be written.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::text::CharCnnRnnEncoder;

use crate::encoders;
use crate::exit::Problem;

/// Refuses a name for a network that measures, which is kept with the others.
///
/// # Errors
/// Code 2 if one was given.
pub(super) fn kept_elsewhere(out: Option<&Path>) -> Result<()> {
    let Some(out) = out else { return Ok(()) };
    let place = format!("option: --out {}", out.display());
    let parts = (
        "a model that paints",
        "a network for measurements, which is kept where `--features` finds it",
    );
    let remedy = "leave `--out` out";
    Err(Problem::usage("the network is written to no file of yours", place, parts, remedy).into())
}

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
        self.encoder.as_deref().map(encoders::load).transpose()
    }
}
