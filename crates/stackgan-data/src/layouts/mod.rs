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
mod deeper;
mod detect;
pub mod folder;
mod keys;
mod kind;
mod lists;
pub mod oxford;
mod painted;
mod reading;
mod scan;
mod split;

pub use detect::detect;
#[cfg(feature = "fetch")] // for what is unpacked
pub(crate) use folder::{MAX_LINE, MAX_TABLE, side};
pub(crate) use keys::{checked_key, inside};
pub use kind::Kind;
pub(crate) use lists::{Labels, MAX_LIST, names};
pub use painted::is_painted;
pub(crate) use reading::LEAVE_OUT;
pub use reading::{Reading, Uncaptioned};
#[cfg(feature = "fetch")] // for what is fetched and unpacked
pub(crate) use scan::is_foreign;
pub(crate) use scan::{files, pictures, slashed, stem};
pub use scan::{is_passed_over, is_picture};

use crate::dataset::Dataset;
use crate::{Error, Result};
use std::path::Path;

/// Reads the folder `dir` of the given kind. No picture is opened.
///
/// # Errors
/// Everything that is missing, all together, and whatever does not match, by file and entry.
pub fn read(dir: &Path, kind: Kind, how: Reading) -> Result<Dataset> {
    if how.uncaptioned == Uncaptioned::ClassName && kind != Kind::Folder {
        return Err(Error::config(
            format!("classes of a {} folder are no captions", kind.name()),
            ("a folder of pictures in folders, one for each class", dir.display().to_string()),
            "name the folder that holds those folders, such as CUB_200_2011/images, and say `--kind folder`",
        ));
    }
    match kind {
        Kind::Cub => cub::read(dir, how),
        Kind::Oxford => oxford::read(dir, how),
        Kind::Coco => coco::read(dir, how),
        Kind::Folder => folder::read(dir, how),
    }
}
