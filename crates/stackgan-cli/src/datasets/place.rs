//! A place for a prepared file, which knows whether the file in it is up to date.
//!
//! Beside the file is the fingerprint of its sources (names, lengths and times of the pictures,
//! boxes, classes, splits, captions), with the identity of the file that was made of them. While
//! neither changes, the file is reused.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use stackgan_core::digest::sha256;
use stackgan_data::check;
use stackgan_data::crop::{Fit, PictureSize, Preparation, Resizing};
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
    /// Those in `folders` for pictures of a size that are resized with a filter.
    pub(super) fn of<const N: usize>(
        dataset: &Dataset,
        options: FolderOptions,
        folders: [PathBuf; N],
        (size, resizing): (PictureSize, Resizing),
    ) -> [Self; N] {
        let how = options.preparation(size, resizing);
        let print = fingerprint(dataset, (how, options.damaged()));
        folders.map(|folder| {
            let file = folder.join(prepared_name(size));
            let source = file.with_extension("source");
            Self { folder, file, source, print: print.clone() }
        })
    }

    /// The prepared file, if it exists and is up to date.
    pub(super) fn found(&self) -> Option<Prepared> {
        let kept = self.kept()?;
        let prepared = Prepared::open(&self.file).ok()?;
        (kept == self.claim(&prepared.identity())).then_some(prepared)
    }

    /// The prepared file, if it is up to date; every picture of it is read.
    ///
    /// # Errors
    /// What is damaged in a file that is said to be up to date.
    pub(super) fn whole(&self) -> Result<Option<Prepared>> {
        let Some(kept) = self.kept().filter(|_| self.file.is_file()) else { return Ok(None) };
        let prepared = check::prepared(&self.file)?;
        Ok((kept == self.claim(&prepared.identity())).then_some(prepared))
    }

    /// What is written beside the prepared file: the sources, and which file was made of them.
    /// Another import may replace the file or this text alone.
    pub(super) fn claim(&self, identity: &str) -> String {
        format!("{}\n{identity}\n", self.print)
    }

    /// What was written there, if it names the sources as they are now.
    fn kept(&self) -> Option<String> {
        let kept = std::fs::read_to_string(&self.source).ok()?;
        kept.starts_with(&self.print).then_some(kept)
    }
}

/// A hash of the sources of a prepared file, without opening a picture.
fn fingerprint(dataset: &Dataset, (how, damaged): (Preparation, Damaged)) -> String {
    let Preparation { size, resizing, stretch, fit } = how;
    // As earlier versions wrote it, so that their files stay up to date.
    let mut text = format!(
        "Preparation {{ size: {size:?}, resizing: {resizing:?}, stretch: {stretch:?} }}\n{}\n",
        env!("CARGO_PKG_VERSION")
    );
    if fit == Fit::Centre {
        text += "centred squares of pictures without a box\n";
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use stackgan_data::crop::{Resizing, Stretch};

    /// Files that earlier versions made of squeezed pictures stay up to date.
    #[test]
    fn squeezing_leaves_the_fingerprint_as_it_was() {
        let of = |fit| {
            let (resizing, stretch) = (Resizing::Residual, Stretch::None);
            let how = Preparation { size: PictureSize::Stage1, resizing, stretch, fit };
            fingerprint(&Dataset::default(), (how, Damaged::Refuse))
        };
        let text = format!(
            "Preparation {{ size: Stage1, resizing: Residual, stretch: None }}\n{}\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(of(Fit::Squeeze), sha256(text.as_bytes()));
        assert_ne!(of(Fit::Centre), of(Fit::Squeeze));
    }
}
