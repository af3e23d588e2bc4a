//! Whether a prepared file is still that of its sources.
//!
//! Beside a prepared file lies a claim: the fingerprint of what the file was made of (names, lengths
//! and times of the pictures, boxes, classes, splits, captions, and how they are prepared), and the
//! identity of the file that was made. While neither changes, the file is used again. It is also
//! used if only times differ, as in a copy of the folder, once every picture was found to have the
//! hash that the file records.

use std::fmt::Write as _;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::crop::MAX_FILE;
use crate::dataset::{Dataset, Item};
use crate::digest::sha256;
use crate::formats::read_bounded;
use crate::prepared::{ImportOptions, ImportReport, Prepared, import, orientation};
use crate::whole_file::AtomicFile;
use crate::{Error, Result, check};

/// A dataset and how it is to be prepared.
#[derive(Debug)]
pub struct Sources<'a> {
    dataset: &'a Dataset,
    options: ImportOptions,
    fingerprint: String,
    /// The lengths of the pictures' files, where they are known.
    lengths: Vec<Option<u64>>,
}

impl<'a> Sources<'a> {
    /// Reads the lengths and times of the pictures; opens none.
    #[must_use]
    pub fn of(dataset: &'a Dataset, options: ImportOptions) -> Self {
        let facts = dataset.items.iter().map(|item| item.image.metadata().ok());
        let known = |facts: Metadata| (facts.len(), facts.modified().ok());
        let files: Vec<_> = facts.map(|facts| facts.map(known).unzip()).collect();
        let timed =
            files.iter().map(|(length, changed)| format!("{length:?} {:?}", changed.flatten()));
        let fingerprint = fingerprint(dataset, options, timed);
        let lengths = files.into_iter().map(|(length, _)| length).collect();
        Self { dataset, options, fingerprint, lengths }
    }

    /// The fingerprint without the times of the pictures.
    fn timeless(&self) -> String {
        let lengths = self.lengths.iter().map(|length| format!("{length:?}"));
        fingerprint(self.dataset, self.options, lengths)
    }

    /// The prepared file, if it exists and was made of these sources as they are now. Pictures are
    /// read only if their times have changed.
    #[must_use]
    pub fn found(&self, file: &Path) -> Option<Prepared> {
        let claim = self.claimed(file)?;
        let prepared = Prepared::open(file).ok()?;
        self.is_made_of_these(&claim, &prepared).then_some(prepared)
    }

    /// As [`Self::found`]; every picture of the file is read.
    ///
    /// # Errors
    /// What is damaged in a file that is said to be made of these sources.
    pub fn found_whole(&self, file: &Path) -> Result<Option<Prepared>> {
        let Some(claim) = self.claimed(file).filter(|_| file.is_file()) else { return Ok(None) };
        let prepared = check::prepared(file)?;
        Ok(self.is_made_of_these(&claim, &prepared).then_some(prepared))
    }

    /// Prepares the dataset as `file`, with its claim beside it. `progress` is as for [`import`].
    ///
    /// # Errors
    /// As [`import`]; [`Error::Storage`] if another import replaced the file meanwhile.
    pub fn import(
        &self,
        file: &Path,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Prepared, ImportReport)> {
        let made = import(self.dataset, file, &self.options, progress)?;
        self.write_claim(file, &made.identity)?;
        let prepared = Prepared::open(file)?;
        if prepared.identity() == made.identity {
            return Ok((prepared, made));
        }
        Err(Error::Storage {
            what: "the prepared file was replaced".into(),
            file: file.to_path_buf(),
            expected: "the file that was just made".into(),
            found: "one of another import".into(),
            remedy: "wait for the other process that imports this folder, and try again".to_owned(),
        })
    }

    /// Writes the claim. Another import may replace it or the file alone, so it names both.
    fn write_claim(&self, file: &Path, identity: &str) -> Result<()> {
        let (fingerprint, timeless) = (&self.fingerprint, self.timeless());
        let mut claim = AtomicFile::create(&claim_of(file))?;
        claim.write(format!("{fingerprint}\n{identity}\n{timeless}\n").as_bytes())?;
        claim.commit()
    }

    /// The claim beside a file, if it names these sources, whatever the times of the pictures.
    fn claimed(&self, file: &Path) -> Option<String> {
        let claim = std::fs::read_to_string(claim_of(file)).ok()?;
        let mut lines = claim.lines();
        let fingerprint = lines.next()?;
        let timeless = lines.nth(1); // claims of earlier versions lack it
        let same = fingerprint == self.fingerprint;
        (same || timeless.is_some_and(|timeless| timeless == self.timeless())).then_some(claim)
    }

    /// Whether the claim is that of this file, and the pictures are those that it was made of.
    fn is_made_of_these(&self, claim: &str, prepared: &Prepared) -> bool {
        let mut lines = claim.lines();
        let (fingerprint, identity) = (lines.next(), prepared.identity());
        let turned = orientation(self.dataset.orientation) == prepared.manifest().orientation;
        if lines.next() != Some(&identity) || !turned {
            return false;
        }
        if fingerprint == Some(&self.fingerprint) {
            return true;
        }
        let same = self.have_the_hashes_of(prepared);
        if same {
            // In a folder that cannot be written to they are read again the next time.
            let _ = self.write_claim(prepared.path(), &identity);
        }
        same
    }

    /// Reads every picture. One that was left out of the file has no hash there.
    fn have_the_hashes_of(&self, prepared: &Prepared) -> bool {
        let (items, made) = (&self.dataset.items, prepared.manifest());
        let hash = |item: &Item| read_bounded(&item.image, MAX_FILE).map(|bytes| sha256(&bytes));
        items.iter().map(|item| &item.key).eq(&made.keys)
            && items
                .par_iter()
                .zip(&made.sha256)
                .all(|(item, made)| hash(item).is_ok_and(|hash| hash == *made))
    }
}

/// The claim's name: in place of the extension `safetensors`, behind any other.
fn claim_of(file: &Path) -> PathBuf {
    if file.extension().is_some_and(|extension| extension == "safetensors") {
        return file.with_extension("source");
    }
    let mut claim = file.to_path_buf();
    claim.as_mut_os_string().push(".source");
    claim
}

/// How pixels are made of sources. It is raised when the same source would give others, so that files
/// of before are made anew.
const PIXELS: u32 = 1;

/// A hash of the sources of a prepared file, without opening a picture. `files` says what is known of
/// the pictures' files.
fn fingerprint(
    dataset: &Dataset,
    ImportOptions { preparation, damaged }: ImportOptions,
    files: impl Iterator<Item = String>,
) -> String {
    let mut text = format!("{PIXELS}\n{preparation:?}\n{damaged:?}\n");
    for (item, file) in dataset.items.iter().zip(files) {
        let Item { key, bounding_box, class, split, captions, .. } = item;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:?} {file} {bounding_box:?} {class} {split:?} {captions:?}");
    }
    sha256(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::{Orientation, PictureSize};
    use crate::testing::{dataset, options};

    #[test]
    fn a_file_is_found_under_any_name_until_its_sources_change() {
        let dir = tempfile::tempdir().unwrap();
        let mut birds = dataset(dir.path(), 4, 1);
        let how = options(PictureSize::Stage1);
        let names = ["p.safetensors", "birds.76", "birds.304", "birds.source"];
        for name in names {
            Sources::of(&birds, how).import(&dir.path().join(name), &|_, _| {}).unwrap();
        }
        let found = |birds: &Dataset| {
            let sources = Sources::of(birds, how);
            names.map(|name| sources.found(&dir.path().join(name)).is_some())
        };
        assert_eq!(found(&birds), [true; 4]);
        birds.orientation = match birds.orientation {
            Orientation::AsStored => Orientation::Upright,
            Orientation::Upright => Orientation::AsStored,
        };
        assert_eq!(found(&birds), [false; 4], "pixels would be others");
    }
}
