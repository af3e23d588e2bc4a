//! Datasets: where they and what is made of them lie, how a folder is read, and its prepared files.

mod folder;
mod locations;
mod open;
mod options;
mod prepare;

pub(crate) use folder::{draw_toy, is_toy, kind, of_preset, read, reading};
pub(crate) use locations::{Cache, embeddings_of, home, imported_embeddings};
pub(crate) use open::{ANY_SIZE, files, open, open_any, there, whole};
pub(crate) use options::{FolderOptions, resizing, usual_resizing};
pub(crate) use prepare::Importing;
