//! Names that others give to pictures, and the pictures of a prepared file.
//!
//! A name is a key of ours, with or without the picture's extension. Folders that say nothing of the picture are left
//! aside on both sides: `jpg/` of Oxford-102's lists, `images/`, and `class_00098/` of Reed's captions (FACTS 4.1, 4.7).
//! A name without a folder may also be the last part of a key, if no other key ends in it.

use super::import::no_fit;
use crate::error::{first_few, printable};
use crate::layouts::{is_picture, stem};
use crate::prepared::Prepared;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The pictures of a prepared file by the names that others may give them.
pub(super) struct Pictures<'a> {
    data: &'a Prepared,
    by_key: BTreeMap<&'a str, usize>,
    /// By the last part; `None` where several keys end in it.
    by_last: BTreeMap<&'a str, Option<usize>>,
}

/// Entries of a source in the order of the pictures.
pub(super) struct Joined<T> {
    /// For each picture its entry.
    pub(super) of: Vec<T>,
    /// Entries of pictures that the dataset does not have.
    pub(super) unused: usize,
}

impl<'a> Pictures<'a> {
    pub(super) fn of(data: &'a Prepared) -> Self {
        let (mut by_key, mut by_last) = (BTreeMap::new(), BTreeMap::new());
        for i in 0..data.len() {
            let key = bare(data.key(i));
            by_key.insert(key, i);
            let last = key.rsplit_once('/').map_or(key, |(_, last)| last);
            by_last.entry(last).and_modify(|found| *found = None).or_insert(Some(i));
        }
        Self { data, by_key, by_last }
    }

    /// The picture of that name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let whole = bare(name);
        let without = stem(whole).filter(|(_, e)| is_picture(e)).map(|(stem, _)| stem);
        [Some(whole), without].into_iter().flatten().find_map(|name| {
            let key = self.by_key.get(name).copied();
            let last = || self.by_last.get(name).copied().flatten();
            key.or_else(|| if name.contains('/') { None } else { last() })
        })
    }

    /// The key of picture `i`.
    pub(super) fn key(&self, i: usize) -> &'a str {
        self.data.key(i)
    }

    /// The entries of `file` in the order of the pictures.
    ///
    /// # Errors
    /// When two entries are of one picture, or a picture has none; all of these are counted.
    pub(super) fn join<T: Clone>(
        &self,
        file: &Path,
        entries: impl Iterator<Item = (String, T)>,
    ) -> Result<Joined<T>> {
        let mut of: Vec<Option<T>> = vec![None; self.data.len()];
        let (mut unused, mut strange) = (0, String::new());
        for (name, entry) in entries {
            let Some(i) = self.find(&name) else {
                unused += 1;
                strange = name;
                continue;
            };
            if of.get(i).is_some_and(Option::is_some) {
                let place = format!("entry {}", printable(&name));
                let key = printable(self.data.key(i));
                let pair = ("one entry for each picture", format!("a second one for {key}"));
                return Err(no_fit(file, &place, pair));
            }
            if let Some(place) = of.get_mut(i) {
                *place = Some(entry);
            }
        }
        let without: Vec<&str> = (0..of.len())
            .filter(|&i| of.get(i).is_some_and(Option::is_none))
            .map(|i| self.data.key(i))
            .collect();
        if without.is_empty() {
            return Ok(Joined { of: of.into_iter().flatten().collect(), unused });
        }
        let beside = match unused {
            0 => String::new(),
            n => format!("; {n} entries of other pictures, such as {}", printable(&strange)),
        };
        Err(Error::Missing {
            what: format!("{} of {} pictures have no embeddings", without.len(), self.data.len()),
            file: file.to_path_buf(),
            expected: format!("an entry for each picture, also for {}{beside}", first_few(&without)),
            remedy: "take the embeddings of this dataset, all of them, named as `stackgan data captions --names` \
                     lists its pictures"
                .to_owned(),
        })
    }
}

/// A name without a first folder that says nothing of the picture.
fn bare(name: &str) -> &str {
    match name.split_once('/') {
        Some((folder, rest))
            if matches!(folder, "jpg" | "images") || folder.starts_with("class_") =>
        {
            rest
        }
        _ => name,
    }
}
