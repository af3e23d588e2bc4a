//! The options of a dataset folder's import. They are stored beside the prepared file, so that
//! later commands only need the folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::Recipe;
use stackgan_data::crop::{Fit, PictureSize, Preparation, Resizing, Stretch};
use stackgan_data::layouts::Kind;
use stackgan_data::prepared::{Damaged, ImportOptions};

use super::locations::places;
use crate::args::{self, Contrast, Layout};
use crate::output::write_file;

/// The file that stores them.
const FILE: &str = "import.json";

/// A size, and the filter that pictures are resized with.
pub(super) type How = (PictureSize, Resizing);

/// How a folder is read and its pictures are prepared, besides size and filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct FolderOptions {
    /// The layout of the folder.
    pub layout: Layout,
    /// The contrast of its pictures.
    pub contrast: Option<Contrast>,
    /// How to treat pictures that cannot be read.
    #[serde(default)]
    pub damaged: Option<args::Damaged>,
    /// What happens to pictures without a box.
    #[serde(default)]
    pub fit: Option<args::Fit>,
}

impl FolderOptions {
    /// The options of the folder's import; the default if it was not imported.
    pub(crate) fn kept(folder: &Path) -> Self {
        let kept = |place: PathBuf| {
            let text = std::fs::read_to_string(place.join(FILE)).ok();
            serde_json::from_str(&text.filter(|text| text.len() < 1 << 16)?).ok()
        };
        places(folder).into_iter().find_map(kept).unwrap_or_default()
    }

    /// These options, with missing ones as in the folder's import.
    pub(crate) fn or_kept(self, folder: &Path) -> Self {
        let kept = Self::kept(folder);
        Self {
            layout: self.layout.or(kept.layout),
            contrast: self.contrast.or(kept.contrast),
            damaged: self.damaged.or(kept.damaged),
            fit: self.fit.or(kept.fit),
        }
    }

    /// Stores them in a folder of prepared files.
    ///
    /// # Errors
    /// [`Problem`](crate::exit::Problem) of the storage.
    pub(super) fn keep(self, place: &Path) -> Result<()> {
        let text = serde_json::to_string(&self)? + "\n";
        write_file(&place.join(FILE), text.as_bytes())
    }

    /// Whether pictures that cannot be read are left out.
    pub(crate) const fn damaged(self) -> Damaged {
        match self.damaged {
            None | Some(args::Damaged::Refuse) => Damaged::Refuse,
            Some(args::Damaged::LeaveOut) => Damaged::LeaveOut,
        }
    }

    /// What happens to pictures without a box.
    pub(crate) const fn fit(self) -> Fit {
        match self.fit {
            None | Some(args::Fit::Squeeze) => Fit::Squeeze,
            Some(args::Fit::Centre) => Fit::Centre,
        }
    }

    /// How pictures of a size are prepared.
    pub(crate) const fn preparation(self, size: PictureSize, resizing: Resizing) -> Preparation {
        let stretch = match self.contrast {
            None | Some(Contrast::AsStored) => Stretch::None,
            Some(Contrast::AsReleased) => Stretch::AsReleased,
        };
        Preparation { size, resizing, stretch, fit: self.fit() }
    }

    /// How the folder is imported for pictures of a size.
    pub(super) const fn import(self, (size, resizing): How) -> ImportOptions {
        ImportOptions { preparation: self.preparation(size, resizing), damaged: self.damaged() }
    }
}

/// The default filter for a kind of dataset: COCO is what the PyTorch release was trained on.
pub(crate) const fn usual_resizing(kind: Kind) -> Resizing {
    match kind {
        Kind::Coco => Resizing::Plain,
        Kind::Cub | Kind::Oxford | Kind::Folder => Resizing::Residual,
    }
}

/// The filter of a recipe's release.
pub(crate) const fn resizing(recipe: Recipe) -> Resizing {
    match recipe {
        Recipe::Residual => Resizing::Residual,
        Recipe::Plain => Resizing::Plain,
    }
}
