//! The SHA-256 of files, which is compared and recorded.

use std::fs::File;
use std::path::Path;

use super::event::{Doing, Event, Listener};
use super::manifest::Item;
use crate::digest::passed_on;
use crate::{Error, Result};

/// Length and hash of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Reads and hashes a whole file. `told` receives the progress.
pub(super) fn sums(path: &Path, told: &mut dyn FnMut(u64)) -> Result<Sums> {
    let failed = |e| Error::read(path, e);
    let file = File::open(path).map_err(failed)?;
    let (bytes, sha256) = passed_on(file, failed, |_, done| {
        told(done);
        Ok(())
    })?;
    Ok(Sums { bytes, sha256 })
}

/// What is known about a file's contents, from the manifest or, if it has no hash, from a mirror's
/// list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinned<'a> {
    pub(super) size: Option<u64>,
    sha256: Option<&'a str>,
}

impl<'a> Pinned<'a> {
    pub(super) fn new(item: &Item<'a>, listed: Option<&'a str>) -> Self {
        Self { size: item.size, sha256: item.sha256.or(listed) }
    }

    /// Facts about a file of which only these are known.
    pub(super) const fn of(size: Option<u64>, sha256: Option<&'a str>) -> Self {
        Self { size, sha256 }
    }

    /// Whether a hash is known.
    pub(super) const fn is_hashed(&self) -> bool {
        self.sha256.is_some()
    }

    /// Compares a file with the known facts. Returns its SHA-256.
    ///
    /// # Errors
    /// [`Error::Malformed`] with both hashes.
    pub(super) fn check(&self, path: &Path, name: &str, hear: &mut Listener<'_>) -> Result<String> {
        let total = path.metadata().map_err(|e| Error::read(path, e))?.len();
        hear(&Event::Begin { doing: Doing::Checking, file: name.to_owned(), total: Some(total) });
        let found = sums(path, &mut |done| hear(&Event::At(done)))?;
        let facts = [
            ("length", self.size.map(|n| n.to_string()), found.bytes.to_string()),
            ("SHA-256", self.sha256.map(str::to_owned), found.sha256.clone()),
        ];
        for (what, expected, found) in &facts {
            if expected.as_ref().is_some_and(|expected| expected != found) {
                return Err(Error::malformed(
                    path,
                    format!("{name} is not the published file"),
                    "whole file",
                    (
                        format!("{what} {}", expected.as_deref().unwrap_or_default()),
                        format!("{what} {found}"),
                    ),
                    "remove the file and run this again, or take it from the dataset's own page",
                ));
            }
        }
        let said = match self.sha256 {
            Some(_) => "SHA-256 as published".to_owned(),
            None => format!("SHA-256 {} (none is published to compare)", found.sha256),
        };
        hear(&Event::End(said));
        Ok(found.sha256)
    }
}
