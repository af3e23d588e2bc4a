//! The birds: drawn, and prepared for both stages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use stackgan_data::counted;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::{ToyConfig, is_toy};

use super::folder::Folder;
use super::notes::Part;
use crate::datasets::{draw_toy, open};

/// The prepared birds.
pub(super) struct Birds {
    /// For Stage-I and the text encoder.
    pub small: Arc<Prepared>,
    /// For Stage-II.
    pub large: Arc<Prepared>,
}

/// Draws and prepares the birds, unless they are there.
pub(super) fn drawn(demo: &mut Folder<'_>) -> Result<Birds> {
    let (began, manner) = (Instant::now(), demo.context.manner);
    let (folder, wanted) = (demo.at("data"), demo.notes.wanted);
    let config = ToyConfig { count: wanted.scale().pictures, seed: wanted.seed };
    if !is_toy(&folder) {
        draw_toy(&folder, config, manner)?;
    }
    let small = open(&folder, (PictureSize::Stage1, Resizing::Residual), manner)?;
    let large = open(&folder, (PictureSize::Stage2, Resizing::Residual), manner)?;
    let species = small.classes().iter().collect::<BTreeSet<_>>().len();
    let what =
        format!("drawing and preparing {} of {species} species", counted(small.len(), "bird"));
    demo.done(Part::Birds, what, began.elapsed().as_secs_f64())?;
    Ok(Birds { small, large })
}
