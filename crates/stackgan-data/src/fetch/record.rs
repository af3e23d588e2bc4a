//! The record of what was put into a dataset's folder, file by file: `.fetched/NAME.sha256`.
//!
//! A file counts as unpacked only if it is in a record, and `--verify` compares with the records.
//! `sha256sum -c` can read them too, in the dataset's folder.
//!
//! A record is announced as `NAME.announced` before any file gets its name, and confirmed by
//! renaming when all files are in place. So after a fetch was killed, the next one knows what was
//! being placed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::event::{Doing, Event, Listener};
use super::hash::sums;
use super::manifest::{Item, Set};
use super::room;
use crate::counted;
use crate::error::{first_few, printable};
use crate::formats::read_bounded;
use crate::layouts::checked_key;
use crate::whole_file::AtomicFile;
use crate::{Error, Result};

/// The folder of records, locks and unfinished work.
pub(super) const FOLDER: &str = ".fetched";
/// The first line of a record.
const FORMAT: &str = "# stackgan fetch 1";
/// Maximum length of a record; COCO's has about 10 MB.
const LONGEST: u64 = 256 << 20;

/// A record: the files that came from one file of the manifest.
pub(super) struct Record {
    path: PathBuf,
    set: String,
}

impl Record {
    pub(super) fn of(into: &Path, set: &Set<'_>, item: &Item<'_>) -> Self {
        let path = into.join(FOLDER).join(format!("{}.sha256", item.name));
        Self { path, set: format!("# set {} {}", set.name, set.edition) }
    }

    pub(super) fn exists(&self) -> bool {
        self.path.is_file()
    }

    fn announced(&self) -> PathBuf {
        self.path.with_extension("announced")
    }

    /// Whether a fetch was killed between announcement and confirmation, and [`Self::recover`]
    /// could not complete it.
    pub(super) fn is_announced(&self) -> bool {
        self.announced().is_file()
    }

    /// Confirms the announcement of a killed fetch if all its files are in place.
    pub(super) fn recover(&self, into: &Path) -> Result<()> {
        if !self.is_announced() {
            return Ok(());
        }
        let whole = |(path, sha256): &(String, String)| {
            sums(&into.join(path), &mut |_| {}).is_ok_and(|(_, found)| found == *sha256)
        };
        // An unreadable announcement is ignored: the work is done again.
        match self.read(&self.announced()) {
            Ok(files) if files.iter().all(whole) => self.confirm(),
            _ => Ok(()),
        }
    }

    /// The files that were placed, and those that a killed fetch was placing: paths in the
    /// dataset's folder, with their hashes.
    pub(super) fn own(&self) -> Result<BTreeMap<String, String>> {
        let mut own = BTreeMap::new();
        if self.exists() {
            own.extend(self.read(&self.path)?);
        }
        if self.is_announced() {
            // An unreadable announcement is ignored.
            own.extend(self.read(&self.announced()).unwrap_or_default());
        }
        Ok(own)
    }

    /// The files that were placed and no longer exist.
    pub(super) fn gone(&self, into: &Path) -> Result<Vec<String>> {
        let mut paths: Vec<String> = self.own()?.into_keys().collect();
        paths.retain(|path| !into.join(path).exists());
        Ok(paths)
    }

    /// Atomically writes which files will be placed. `files` are paths in the dataset's folder,
    /// with their hashes.
    pub(super) fn announce(&self, from: &str, files: &BTreeMap<String, String>) -> Result<()> {
        let mut text = format!("{FORMAT}\n{}\n# from {from}\n", self.set);
        for (path, sha256) in files {
            let _ = writeln!(text, "{sha256}  {path}"); // cannot fail on a String
        }
        let mut file = AtomicFile::create(&self.announced())?;
        file.write(text.as_bytes())?;
        file.commit()
    }

    /// Turns the announcement into the record, once all files are in place.
    pub(super) fn confirm(&self) -> Result<()> {
        let failed = |e| Error::write(&self.path, e);
        fs::rename(self.announced(), &self.path).map_err(failed)?;
        self.path.parent().map_or(Ok(()), room::sync_names)
    }

    /// The files of a record, with their hashes.
    ///
    /// # Errors
    /// When the record is of another dataset or edition, or is malformed.
    fn read(&self, path: &Path) -> Result<Vec<(String, String)>> {
        let bytes = read_bounded(path, LONGEST)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        if lines.next() != Some(FORMAT) {
            return Err(self.wrong("line 1", FORMAT, "another line"));
        }
        match lines.next() {
            Some(set) if set == self.set => {}
            set => {
                return Err(self.wrong("line 2", &self.set, &printable(set.unwrap_or("nothing"))));
            }
        }
        let files = lines.enumerate().filter(|(_, line)| !line.starts_with('#'));
        files
            .map(|(n, line)| {
                let place = format!("line {}", n + 3);
                let (sha256, path) = line
                    .split_once("  ")
                    .ok_or_else(|| self.wrong(place, "a hash and a path", &printable(line)))?;
                checked_key(path, &self.path, n)?;
                Ok((path.to_owned(), sha256.to_owned()))
            })
            .collect()
    }

    /// Checks that an existing record is of this dataset.
    pub(super) fn belongs(&self) -> Result<()> {
        if self.exists() { self.read(&self.path).map(|_| ()) } else { Ok(()) }
    }

    /// Compares every file with its hash. Returns the number of files, and those that are missing
    /// or changed.
    pub(super) fn verify(&self, into: &Path, hear: &mut Listener<'_>) -> Result<(usize, Bad)> {
        let files = self.read(&self.path)?;
        let sizes = files.iter().filter_map(|(path, _)| into.join(path).metadata().ok());
        let total = Some(sizes.map(|facts| facts.len()).sum());
        let file = self.path.file_stem().map(|name| name.to_string_lossy().into_owned());
        hear(&Event::Begin { doing: Doing::Checking, file: file.unwrap_or_default(), total });
        let (mut bad, mut done) = (Bad::default(), 0);
        for (path, sha256) in &files {
            match sums(&into.join(path), &mut |_| {}) {
                Ok((length, found)) => {
                    done += length;
                    if found != *sha256 {
                        bad.changed.push(path.clone());
                    }
                }
                Err(_) => bad.missing.push(path.clone()),
            }
            hear(&Event::At(done));
        }
        hear(&Event::End(counted(files.len(), "file")));
        Ok((files.len(), bad))
    }

    fn wrong(&self, place: impl Into<Box<str>>, expected: &str, found: &str) -> Error {
        Error::malformed(
            &self.path,
            "the folder holds another set, or another edition",
            place,
            (expected, found),
            "choose another folder with `--into`, or remove this one",
        )
    }
}

/// Files that are missing or changed.
#[derive(Debug, Default)]
pub(super) struct Bad {
    missing: Vec<String>,
    changed: Vec<String>,
}

impl Bad {
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.changed.is_empty()
    }

    /// A summary such as `2 missing (a, b), 1 changed (c)`.
    pub(super) fn said(&self) -> String {
        let parts = [("missing", &self.missing), ("changed", &self.changed)];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let said: Vec<String> = parts
            .map(|(what, names)| format!("{} {what} ({})", names.len(), first_few(names)))
            .collect();
        said.join(", ")
    }
}
