//! What is known of a picture of a folder.

use crate::dataset::{BoundingBox, Split};
use std::path::PathBuf;

/// A picture with its captions and other facts.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its path in the folder.
    pub(crate) name: String,
    pub(crate) image: PathBuf,
    pub(crate) captions: Vec<String>,
    pub(crate) from: Origin,
    pub(crate) bounds: Option<BoundingBox>,
    pub(super) class: Option<String>,
    pub(super) split: Option<Split>,
}

/// Where the captions of a picture come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A text file beside it.
    Text,
    /// A table.
    Table,
    /// The name of its class.
    Class,
}
