//! The SHA-256 of files, which is compared and recorded.

use std::fs::File;
use std::path::Path;

use super::event::{Doing, Event, Listener};
use super::manifest::Item;
use crate::digest::passed_on;
use crate::{Error, Result};

/// Reads a whole file: its length and its SHA-256. `told` receives the progress.
pub(super) fn sums(path: &Path, told: &mut dyn FnMut(u64)) -> Result<(u64, String)> {
    let failed = |e| Error::read(path, e);
    let file = File::open(path).map_err(failed)?;
    passed_on(file, failed, |_, done| {
        told(done);
        Ok(())
    })
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
        let (length, found) = sums(path, &mut |done| hear(&Event::At(done)))?;
        let refuse = |expected: String, found: String| {
            let what = format!("{name} is not the published file");
            let remedy =
                "remove the file and run this again, or take it from the dataset's own page";
            Err(Error::malformed(path, what, "whole file", (expected, found), remedy))
        };
        if let Some(size) = self.size.filter(|size| *size != length) {
            return refuse(format!("length {size}"), format!("length {length}"));
        }
        if let Some(sha256) = self.sha256.filter(|sha256| *sha256 != found) {
            return refuse(format!("SHA-256 {sha256}"), format!("SHA-256 {found}"));
        }
        let said = match self.sha256 {
            Some(_) => "SHA-256 as published".to_owned(),
            None => format!("SHA-256 {found} (none is published to compare)"),
        };
        hear(&Event::End(said));
        Ok(found)
    }
}
