//! Readers of dataset folders. The kind is stated by the caller, or told from what the folder holds; letters in
//! its path mean nothing (LESSONS A2, B2.4).
//!
//! | kind | what it is | who has it |
//! |---|---|---|
//! | [`cub`] | CUB-200-2011 with the release's lists and captions; drawn toy birds | birds |
//! | [`oxford`] | Oxford-102 with captions by class | flowers |
//! | [`coco`] | COCO 2014 with its annotations, or the folder of the `PyTorch` release | scenes |
//! | [`folder`] | pictures with captions beside them or in a table | anyone |

pub mod coco;
pub mod cub;
mod detect;
pub mod folder;
mod keys;
mod lists;
pub mod oxford;
mod scan;
mod split;

pub use detect::detect;
pub use keys::{checked_key, inside};
pub use lists::{Labels, MAX_LIST, names};
pub(crate) use scan::{files, is_picture, stem};

use crate::Result;
use crate::dataset::Dataset;
use std::path::Path;

/// How a dataset folder is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// CUB-200-2011 as the first release has it.
    Cub,
    /// Oxford-102.
    Oxford,
    /// COCO 2014.
    Coco,
    /// A user's own pictures and captions.
    Folder,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Cub, Self::Oxford, Self::Coco, Self::Folder];

    /// The name by which a user states the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cub => "cub",
            Self::Oxford => "oxford",
            Self::Coco => "coco",
            Self::Folder => "folder",
        }
    }
}

/// What is decided where a folder does not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The seed of the split, where the folder has none.
    pub split_seed: u64,
    /// What happens to pictures without captions.
    pub uncaptioned: Uncaptioned,
}

/// What happens to pictures without captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uncaptioned {
    /// The folder is refused, with their names.
    #[default]
    Refuse,
    /// They are left out, and a note says how many.
    LeaveOut,
}

/// How pictures without captions are left out, for remedies: not every command that reads a folder has the option.
pub(crate) const LEAVE_OUT: &str = "`stackgan data import DIR --uncaptioned leave-out`";

/// Reads the folder `dir` of a stated kind. No picture is opened.
///
/// # Errors
/// Whatever is missing, all of it together, and whatever does not fit, by file and entry.
pub fn read(dir: &Path, kind: Kind, how: Reading) -> Result<Dataset> {
    match kind {
        Kind::Cub => cub::read(dir),
        Kind::Oxford => oxford::read(dir, how),
        Kind::Coco => coco::read(dir, how),
        Kind::Folder => folder::read(dir, how),
    }
}
