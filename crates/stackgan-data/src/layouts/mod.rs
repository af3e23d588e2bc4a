//! Readers of dataset folders.
//!
//! The kind is given by the caller or detected from the contents of the folder. The path means
//! nothing: the PyTorch release crops by boxes if the path contains "birds"
//! (`code/miscc/datasets.py`), and `AttnGAN` treats any such folder as birds (taoxugit/AttnGAN
//! issue 25).
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

/// The layout of a dataset folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// CUB-200-2011, laid out as in the first release.
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

    /// The name of the kind in commands.
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

/// Decisions about what a folder does not specify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The seed of the split, if the folder has none.
    pub split_seed: u64,
    /// How to treat pictures without captions.
    pub uncaptioned: Uncaptioned,
}

/// How to treat pictures without captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uncaptioned {
    /// Reject the folder, listing their names.
    #[default]
    Refuse,
    /// Leave them out, with a note of their number.
    LeaveOut,
}

/// The command that leaves pictures without captions out, for remedies: not every command that
/// reads a folder has the option.
pub(crate) const LEAVE_OUT: &str = "`stackgan data import DIR --uncaptioned leave-out`";

/// Reads the folder `dir` of the given kind. No picture is opened.
///
/// # Errors
/// Everything that is missing, all together, and whatever does not match, by file and entry.
pub fn read(dir: &Path, kind: Kind, how: Reading) -> Result<Dataset> {
    match kind {
        Kind::Cub => cub::read(dir),
        Kind::Oxford => oxford::read(dir, how),
        Kind::Coco => coco::read(dir, how),
        Kind::Folder => folder::read(dir, how),
    }
}
