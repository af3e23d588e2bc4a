//! Common parts of the release's layouts: lists of names and classes in pickles, and the report of
//! all listed files that are missing.

use super::keys::checked_key;
use crate::dataset::Split;
use crate::error::{few_of, first_few, printable};
use crate::formats::{pickle, read_bounded};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Maximum length of a list (`images.txt`, `filenames.pickle`) in bytes.
pub(crate) const MAX_LIST: u64 = 64 << 20;

/// Reads the names in a `filenames.pickle`, in order; each is a safe relative path.
///
/// # Errors
/// When the file is not a list of strings, or a name is unsafe or occurs twice.
pub(crate) fn names(file: &Path) -> Result<Vec<String>> {
    let names = pickle::decode(&read_bounded(file, MAX_LIST)?, file)?.strings(file)?;
    let mut seen = BTreeSet::new();
    for (entry, name) in names.iter().enumerate() {
        checked_key(name, file, entry)?;
        if !seen.insert(name.as_str()) {
            return Err(twice(file, entry, name));
        }
    }
    Ok(names)
}

/// The release's lists.
#[derive(Clone, Debug)]
pub(crate) struct Lists {
    /// `train/filenames.pickle` and `test/filenames.pickle`.
    pub(crate) filenames: [PathBuf; 2],
    /// `train/class_info.pickle` and `test/class_info.pickle`.
    pub(crate) class_info: [PathBuf; 2],
}

/// The pictures of one split, as a list has them.
pub(super) struct List<'l> {
    pub(super) split: Split,
    /// The file that lists them.
    pub(super) file: &'l Path,
    /// Their names, in order.
    pub(super) keys: Vec<String>,
    /// Their classes, if the list of these exists.
    pub(super) labels: Option<Labels>,
}

impl Lists {
    /// The paths under `dir`; nothing is opened.
    pub(super) fn of(dir: &Path) -> Self {
        let both = |name: &str| Split::ALL.map(|split| dir.join(split.name()).join(name));
        Self { filenames: both("filenames.pickle"), class_info: both("class_info.pickle") }
    }

    /// Whether either split has a list.
    pub(crate) fn are_there(&self) -> bool {
        self.filenames.iter().any(|file| file.is_file())
    }

    /// Reads the lists that exist.
    ///
    /// # Errors
    /// As [`names`] and [`Labels::read`]; a picture of both splits.
    pub(super) fn read(&self) -> Result<Vec<List<'_>>> {
        let mut seen = BTreeSet::new();
        let both = Split::ALL.into_iter().zip(self.filenames.iter().zip(&self.class_info));
        let there = both.filter(|(_, (file, _))| file.is_file());
        there
            .map(|(split, (file, labels))| {
                let keys = names(file)?;
                for (entry, key) in keys.iter().enumerate() {
                    if !seen.insert(key.clone()) {
                        return Err(twice(file, entry, key));
                    }
                }
                let labels = Some(labels).filter(|path| path.is_file());
                let labels = labels.map(|path| Labels::read(path, file, keys.len())).transpose()?;
                Ok(List { split, file, keys, labels })
            })
            .collect()
    }
}

impl List<'_> {
    /// The class of entry `i`, if the list of classes exists.
    pub(super) fn class(&self, i: usize) -> Option<u32> {
        self.labels.as_ref()?.0.get(i).copied()
    }
}

/// The error about a picture that is listed twice.
fn twice(file: &Path, entry: usize, name: &str) -> Error {
    Error::malformed(
        file,
        "picture is listed twice",
        format!("entry {entry}"),
        ("each picture once in train and test together", printable(name)),
        "remove the second entry, with its embedding",
    )
}

/// The classes in a `class_info.pickle`.
#[derive(Debug)]
pub(crate) struct Labels(Vec<u32>);

impl Labels {
    /// Reads a list for the `n` pictures of the list `names`.
    ///
    /// # Errors
    /// When the file is not a list of that many classes.
    pub(crate) fn read(path: &Path, names: &Path, n: usize) -> Result<Self> {
        let labels = pickle::decode(&read_bounded(path, MAX_LIST)?, path)?.ints(path)?;
        if labels.len() != n {
            let expected = format!("{n} as {} has names", names.display());
            return Err(Error::malformed(
                path,
                "class list does not fit the list of pictures",
                "whole list",
                (expected, labels.len().to_string()),
                "take both files from the same set",
            ));
        }
        let label = |(i, label): (usize, &i64)| {
            u32::try_from(*label).map_err(|_| {
                Error::malformed(
                    path,
                    "class is out of range",
                    format!("entry {i}"),
                    ("0 to 4294967295", label.to_string()),
                    "number the classes from zero or one",
                )
            })
        };
        Ok(Self(labels.iter().enumerate().map(label).collect::<Result<_>>()?))
    }

    /// Number of different classes.
    pub(crate) fn classes(&self) -> usize {
        self.0.iter().collect::<BTreeSet<_>>().len()
    }
}

/// The note about pictures without captions that are left out, if there are any.
pub(super) fn left_out(names: &[String]) -> Option<String> {
    few_of(names, "picture").map(|(n, few)| format!("{n} without captions left out ({few})"))
}

/// The missing parts of a folder, by group.
#[derive(Debug, Default)]
pub(super) struct Absent(Vec<(&'static str, Vec<String>)>);

impl Absent {
    /// Records that one of `what` is missing.
    pub(super) fn note(&mut self, what: &'static str, name: impl Into<String>) {
        match self.0.iter_mut().find(|(group, _)| *group == what) {
            Some((_, names)) => names.push(name.into()),
            None => self.0.push((what, vec![name.into()])),
        }
    }

    /// Returns all missing parts in one error, if there are any.
    pub(super) fn check(&self, dir: &Path, remedy: String) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let expected = self.lines().collect::<Vec<_>>().join("; ");
        Err(Error::missing(dir, "files that are needed are missing", expected, remedy))
    }

    /// The missing parts, a group each.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let groups = self.0.iter();
        groups.map(|(what, names)| format!("{what}: {} ({})", names.len(), first_few(names)))
    }
}
