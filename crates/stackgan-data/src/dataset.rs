//! The description of a dataset, before any picture is opened: what the modules of `layouts` return
//! and [`crate::prepared::import`] takes. And how few of its many things are chosen to be looked at: [`evenly`].

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Pictures with captions, classes and splits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// A short name for messages and metadata, such as `cub`.
    pub name: String,
    /// The pictures, in the order of the folder's lists (train before test), or by name if it has
    /// none.
    pub items: Vec<Item>,
    /// Whether pictures are rotated according to their EXIF tag; boxes are in pixels of the result.
    pub orientation: Orientation,
    /// Decisions about what the folder does not specify, and what was left out: one sentence each.
    pub notes: Vec<String>,
}

/// Whether a picture is rotated according to its EXIF tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orientation {
    /// As stored, as in the release. Boxes of the published datasets are in pixels of the stored
    /// picture.
    #[default]
    AsStored,
    /// Rotated upright, as viewers show it. For a user's own photographs.
    Upright,
}

/// One picture of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The name of the picture in lists and embeddings: a relative path without extension.
    pub key: String,
    /// The path of the picture.
    pub image: PathBuf,
    /// The object's box in pixels of the picture; `None` uses the whole picture.
    pub bounding_box: Option<BoundingBox>,
    /// An opaque label; equal labels mean the same class. Without classes each picture has its own.
    pub class: u32,
    /// The captions; of CUB and Oxford, line `i` of the caption file is at `i` (a blank line is an
    /// empty caption).
    pub captions: Vec<String>,
    /// The split that the picture belongs to.
    pub split: Split,
}

/// A box in pixels; `x` and `y` are its top left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl fmt::Display for BoundingBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { x, y, width, height } = self;
        write!(f, "x {x}, y {y}, width {width}, height {height}")
    }
}

/// The split that a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Used for training.
    Train,
    /// Used for evaluation; its classes are unseen if the split is by class.
    Test,
}

impl Split {
    /// Both splits, in the order of their numbers in files.
    pub const ALL: [Self; 2] = [Self::Train, Self::Test];

    /// The name of the split's folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `n` evenly spaced indices below `of`; all of them if there are no more.
pub fn evenly(of: usize, n: usize) -> impl Iterator<Item = usize> {
    let n = n.min(of);
    (0..n).map(move |k| (k as u128 * of as u128 / n as u128) as usize)
}

impl Dataset {
    /// Number of pictures of one split.
    #[must_use]
    pub fn count(&self, split: Split) -> usize {
        self.items.iter().filter(|item| item.split == split).count()
    }

    /// Number of captions of all pictures.
    #[must_use]
    pub fn caption_count(&self) -> usize {
        self.items.iter().map(|item| item.captions.len()).sum()
    }

    /// The classes of one split.
    #[must_use]
    pub fn classes(&self, split: Split) -> BTreeSet<u32> {
        self.items.iter().filter(|item| item.split == split).map(|item| item.class).collect()
    }
}
