//! What the painting commands share: the requested model, encoded captions or given embeddings,
//! pictures with their provenance, their file names, and sheets.

mod given;
mod names;
mod painter;
mod seeds;
mod sheet;

pub(crate) use given::{EmbeddingsAt, Given, embeddings};
pub(crate) use names::{ANIMATION, EDIT, FRAMES, GRID, NEAREST, SHEETS, file_name};
pub(crate) use painter::{Painted, Painter, Read, check_free};
pub(crate) use seeds::{numbers, seeds};
pub(crate) use sheet::Sheet;
