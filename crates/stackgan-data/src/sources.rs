//! Whether a prepared file is still that of its sources.
//!
//! Beside a prepared file lies a claim: the fingerprint of what the file was made of (names, lengths
//! and times of the pictures, boxes, classes, splits, captions, and how they are prepared), and the
//! identity of the file that was made. While neither changes, the file is used again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::digest::sha256;
use crate::prepared::{ImportOptions, ImportReport, Prepared, import};
use crate::whole_file::AtomicFile;
use crate::{Error, Result, check};

/// A dataset and how it is to be prepared.
#[derive(Debug)]
pub struct Sources<'a> {
    dataset: &'a Dataset,
    options: ImportOptions,
    fingerprint: String,
}

impl<'a> Sources<'a> {
    /// Reads the lengths and times of the pictures; opens none.
    #[must_use]
    pub fn of(dataset: &'a Dataset, options: ImportOptions) -> Self {
        Self { dataset, options, fingerprint: fingerprint(dataset, options) }
    }

    /// The prepared file, if it exists and was made of these sources as they are now.
    #[must_use]
    pub fn found(&self, file: &Path) -> Option<Prepared> {
        let claimed = self.claimed(file)?;
        let prepared = Prepared::open(file).ok()?;
        (claimed == self.claim(&prepared.identity())).then_some(prepared)
    }

    /// As [`Self::found`]; every picture of the file is read.
    ///
    /// # Errors
    /// What is damaged in a file that is said to be made of these sources.
    pub fn found_whole(&self, file: &Path) -> Result<Option<Prepared>> {
        let Some(claimed) = self.claimed(file).filter(|_| file.is_file()) else { return Ok(None) };
        let prepared = check::prepared(file)?;
        Ok((claimed == self.claim(&prepared.identity())).then_some(prepared))
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
        let mut claim = AtomicFile::create(&claim_of(file))?;
        claim.write(self.claim(&made.identity).as_bytes())?;
        claim.commit()?;
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

    /// The text of the claim. Another import may replace it or the file alone, so it names both.
    fn claim(&self, identity: &str) -> String {
        format!("{}\n{identity}\n", self.fingerprint)
    }

    /// The claim beside a file, if it names these sources.
    fn claimed(&self, file: &Path) -> Option<String> {
        let claim = std::fs::read_to_string(claim_of(file)).ok()?;
        claim.starts_with(&self.fingerprint).then_some(claim)
    }
}

fn claim_of(file: &Path) -> PathBuf {
    file.with_extension("source")
}

/// How pixels are made of sources. It is raised when the same source would give others, so that files
/// of before are made anew.
const PIXELS: u32 = 1;

/// A hash of the sources of a prepared file, without opening a picture.
fn fingerprint(dataset: &Dataset, ImportOptions { preparation, damaged }: ImportOptions) -> String {
    let mut text = format!("{PIXELS}\n{preparation:?}\n{damaged:?}\n");
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
    sha256(text)
}
