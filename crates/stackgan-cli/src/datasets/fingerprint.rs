//! Whether a prepared file is up to date.
//!
//! Beside it is the fingerprint of its sources (names, lengths and times of the pictures, boxes,
//! classes, splits, captions), with the identity of the file that was made of them. While neither
//! changes, the file is reused.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use stackgan_core::digest::sha256;
use stackgan_data::crop::{PictureSize, Preparation, Resizing};
use stackgan_data::dataset::Dataset;
use stackgan_data::prepared::{Damaged, Prepared};

use super::locations::prepared_name;
use super::options::FolderOptions;

/// The location of a folder's prepared file.
pub(super) struct Place {
    pub folder: PathBuf,
    pub file: PathBuf,
    /// The file that says what the prepared file was made of.
    pub source: PathBuf,
    print: String,
}

impl Place {
    /// That in `folder` for pictures of a size that are resized with a filter.
    pub(super) fn of(
        dataset: &Dataset,
        options: FolderOptions,
        folder: PathBuf,
        (size, resizing): (PictureSize, Resizing),
    ) -> Self {
        let how = options.preparation(size, resizing);
        let print = fingerprint(dataset, (how, options.damaged()));
        let file = folder.join(prepared_name(size));
        let source = file.with_extension("source");
        Self { folder, file, source, print }
    }

    /// The prepared file, if it exists and is up to date.
    pub(super) fn found(&self) -> Option<Prepared> {
        let kept = std::fs::read_to_string(&self.source).ok()?;
        let prepared = kept.starts_with(&self.print).then(|| Prepared::open(&self.file).ok())??;
        (kept == self.claim(&prepared.identity())).then_some(prepared)
    }

    /// The prepared file, if it is said to be made of what the folder holds now: it may be damaged.
    pub(super) fn claimed(&self) -> Option<&Path> {
        let kept = std::fs::read_to_string(&self.source).ok()?;
        (kept.starts_with(&self.print) && self.file.is_file()).then_some(&self.file)
    }

    /// What is written beside the prepared file: the sources, and which file was made of them.
    /// Another import may replace the file or this text alone.
    pub(super) fn claim(&self, identity: &str) -> String {
        format!("{}\n{identity}\n", self.print)
    }
}

/// A hash of the sources of a prepared file, without opening a picture.
fn fingerprint(dataset: &Dataset, (how, damaged): (Preparation, Damaged)) -> String {
    let mut text = format!("{how:?}\n{}\n", env!("CARGO_PKG_VERSION"));
    if damaged == Damaged::LeaveOut {
        text += "damaged pictures left out\n";
    }
    for item in &dataset.items {
        let facts = item.image.metadata().ok();
        let length = facts.as_ref().map(std::fs::Metadata::len);
        let changed = facts.and_then(|f| f.modified().ok());
        let _ = writeln!(
            text, // cannot fail on a String
            "{:?} {length:?} {changed:?} {:?} {} {:?} {:?}",
            item.key,
            item.bounding_box,
            item.class,
            item.split,
            item.captions
        );
    }
    sha256(text.as_bytes())
}
