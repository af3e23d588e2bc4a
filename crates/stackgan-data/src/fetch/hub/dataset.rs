//! Files of a dataset on the Hub: those of its own repository, or the Parquet files that the Hub makes
//! of datasets in other formats.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::repository::{DatasetFiles, Repository};
use super::{Hub, Listing, Sibling, is_refused, or_offline};
use crate::error::{counted, first_few, printable};
use crate::fetch::event::{Event, Listener};
use crate::fetch::part::Part;
use crate::fetch::room;
use crate::layouts::{checked_key, side};
use crate::{Error, Result};

/// Maximum length of a file, in bytes.
const LARGEST: u64 = 1 << 38;
/// Maximum depth of folders in the cache.
const DEPTH: usize = 8;

impl Hub {
    /// The folder of a dataset's files for which `is_wanted` is true of the name; downloads those that
    /// are not in the cache. The Hub is asked for its list of files each time; offline, the files are
    /// those that the cache holds.
    ///
    /// A repository without such files may have them on the branch on which the Hub itself converts
    /// datasets to Parquet: they are taken then, unless a revision was named.
    ///
    /// # Errors
    /// [`Error::Missing`] when there are no such files; [`Error::Config`] when they lie in several
    /// folders that are not those of splits: so the Hub keeps the configurations of a dataset;
    /// [`Error::Malformed`] for names that lead out of the folder; otherwise as [`Self::folder`].
    pub fn dataset(
        &self,
        dataset: &DatasetFiles,
        is_wanted: &dyn Fn(&str) -> bool,
        hear: &mut Listener<'_>,
    ) -> Result<PathBuf> {
        if !self.offline {
            return self.fetched_dataset(dataset, is_wanted, hear).map_err(|error| {
                match self.kept_dataset(dataset, is_wanted) {
                    Some((_, names)) => {
                        let there = counted(names.len(), "file");
                        or_offline(
                            error,
                            &format!("{there} of the dataset, perhaps not all, are in the cache"),
                        )
                    }
                    None => error,
                }
            });
        }
        let Some((folder, names)) = self.kept_dataset(dataset, is_wanted) else {
            return Err(self.not_kept(&dataset.repository, &format!("files of {dataset}")));
        };
        one_part(dataset, names.iter().map(String::as_str).collect())?;
        let there = counted(names.len(), "file");
        let said = format!("hub:{dataset}: from the cache alone: {there}; the hub may have more");
        hear(&Event::Note(said));
        Ok(folder)
    }

    fn fetched_dataset(
        &self,
        dataset: &DatasetFiles,
        is_wanted: &dyn Fn(&str) -> bool,
        hear: &mut Listener<'_>,
    ) -> Result<PathBuf> {
        let own = &dataset.repository;
        let (_lock, client) = self.locked(own)?;
        let (mut repository, mut listing) = (own.clone(), self.listing(own, &client, hear)?);
        let has_any = listing.siblings.iter().any(|file| is_wanted(&file.rfilename));
        if let (false, Some(converted)) = (has_any, own.converted()) {
            // That it was not converted is no news.
            let mut quiet = |event: &Event| {
                if !matches!(event, Event::Note(_)) {
                    hear(event);
                }
            };
            match self.listing(&converted, &client, &mut quiet) {
                Ok(found) => {
                    hear(&Event::Note(format!(
                        "hub:{own}: has no Parquet files or tars of its own: those that the hub makes of it are taken"
                    )));
                    (repository, listing) = (converted, found);
                }
                Err(error) if is_refused(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let wanted = chosen(&listing, &dataset.folder, is_wanted);
        let home = self.home(own);
        if wanted.is_empty() {
            return Err(none(&home, dataset, &listing));
        }
        for (entry, file) in wanted.iter().enumerate() {
            checked_key(&file.rfilename, &home, entry).map_err(|_| unsafe_name(&home, file))?;
        }
        one_part(dataset, wanted.iter().map(|file| below(file, &dataset.folder)).collect())?;
        let folder = self.cache.repo(repository.repo()).pointer_path(&listing.sha);
        let missing = |file: &&Sibling| {
            let path = folder.join(&file.rfilename);
            let length = file.facts().0.filter(|_| !path.is_file())?;
            Some(length.saturating_sub(Part::of(&path).len()))
        };
        let length = wanted.iter().filter_map(missing).fold(0, u64::saturating_add);
        room::require(&home, length, &format!("download hub:{dataset}"))?;
        for file in &wanted {
            self.fetch_file((&repository, &listing.sha), (file, LARGEST), &client, hear)?;
        }
        self.complete(&repository, &listing.sha)?;
        Ok(folder.join(&dataset.folder))
    }

    /// The folder of a dataset's files in the cache, and their names in it; `None` if there are none.
    fn kept_dataset(
        &self,
        dataset: &DatasetFiles,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Option<(PathBuf, Vec<String>)> {
        let own = &dataset.repository;
        let kept = |repository: &Repository| {
            let commit = self.commit(repository)?;
            let folder = self.cache.repo(repository.repo()).pointer_path(&commit);
            let (folder, mut names) = (folder.join(&dataset.folder), Vec::new());
            names_below(&folder, "", DEPTH, &mut names);
            names.retain(|name| is_wanted(name));
            (!names.is_empty()).then_some((folder, names))
        };
        kept(own).or_else(|| kept(&own.converted()?))
    }
}

/// The names of the files below a folder of the cache, where they may be links.
fn names_below(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let (name, path) = (format!("{prefix}{name}"), entry.path());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth > 0 {
                names_below(&path, &format!("{name}/"), depth - 1, names);
            }
        } else if path.is_file() {
            names.push(name);
        }
    }
}

/// The files of a listing that are wanted, in one folder. What is hidden, readers of folders pass over.
fn chosen<'l>(
    listing: &'l Listing,
    folder: &str,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Vec<&'l Sibling> {
    let is_inside = |name: &str| {
        folder.is_empty() || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    let is_hidden = |part: &str| part.starts_with('.') && !matches!(part, "." | "..");
    let is_chosen =
        |name: &str| is_inside(name) && is_wanted(name) && !name.split('/').any(is_hidden);
    listing.siblings.iter().filter(|file| is_chosen(&file.rfilename)).collect()
}

/// The name of a file in a folder of its repository.
fn below<'f>(file: &'f Sibling, folder: &str) -> &'f str {
    let name = file.rfilename.strip_prefix(folder).unwrap_or(&file.rfilename);
    name.trim_start_matches('/')
}

/// Checks that the files are of one part of the dataset: in one folder, or in one for each split.
fn one_part(dataset: &DatasetFiles, mut names: Vec<&str>) -> Result<()> {
    let is_split =
        |top: &str| top.split(|c: char| !c.is_alphanumeric()).any(|word| side(word).is_some());
    let mut at = dataset.clone();
    loop {
        let tops = names.iter().map(|name| name.split_once('/').map(|(top, _)| top));
        let tops: BTreeSet<Option<&str>> = tops.collect();
        let tops: Vec<&str> = match tops.into_iter().collect::<Option<_>>() {
            Some(tops) => tops,
            None => return Ok(()), // some lie here
        };
        match tops.as_slice() {
            [only] if !is_split(only) => {
                at = at.inside(only);
                names = names.iter().filter_map(|name| Some(name.split_once('/')?.1)).collect();
            }
            [first, _, ..] if !tops.iter().all(|top| is_split(top)) => {
                let found =
                    format!("{} of hub:{at}: {}", counted(tops.len(), "folder"), first_few(&tops));
                let expected = "files in one folder, or in one for each split";
                let remedy =
                    format!("name one of them: hub:{}", printable(&at.inside(first).to_string()));
                return Err(Error::config(
                    "the dataset has several parts",
                    (expected, found),
                    remedy,
                ));
            }
            _ => return Ok(()),
        }
    }
}

/// The error of a dataset without wanted files.
fn none(home: &Path, dataset: &DatasetFiles, listing: &Listing) -> Error {
    let names: Vec<&str> = listing.siblings.iter().map(|file| &*file.rfilename).collect();
    let has = if names.is_empty() { "no files".to_owned() } else { first_few(&names) };
    let remedy = format!(
        "choose another dataset or folder, for it has {has}; or download what there is by the hub's own programs"
    );
    let what = format!("hub:{dataset} has none of the files that are wanted");
    Error::missing(home, what, "Parquet files or tars", remedy)
}

/// The error of a name that leads out of the folder.
fn unsafe_name(home: &Path, file: &Sibling) -> Error {
    Error::malformed(
        home,
        "the hub's list names a file that is not safe",
        "list of files",
        ("relative paths of plain names", format!("`{}`", printable(&file.rfilename))),
        "do not use this dataset unless you trust its source",
    )
}
