//! Fetching of the public datasets into a folder that can be imported.
//!
//! Downloads survive network failures, hashes are checked before a file gets its name, and archives
//! are unpacked without trusting them. Nothing is printed; progress is reported as [`Event`]s.
//!
//! Each file of the [`manifest`] is skipped if what it provides already exists. Otherwise it is
//! taken from the given folder or mirror, or from its own addresses, checked against the known
//! hashes, unpacked and recorded. Files that only a person can download are listed in the
//! [`Report`]. [`hub`] downloads models and datasets from the Hugging Face Hub in the same way.

mod download;
mod event;
mod hash;
mod http;
pub mod hub;
mod job;
mod lock;
pub mod manifest;
mod mirror;
mod page;
mod part;
mod patience;
mod place;
mod record;
mod redirect;
mod resolve;
pub(crate) mod room;
mod side;
mod transfer;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{counted, few_of};
use crate::layouts::pictures;
use crate::{Error, Result};
use download::{Download, download};
pub use event::{Doing, Event, Listener, bytes};
use hash::Pinned;
use http::Client;
use job::Job;
use lock::{Alone, lock};
use manifest::{Item, Set, Then};
pub use mirror::Mirror;
pub use patience::Patience;
use place::Place;
use record::Record;

/// What to fetch, from where and to where.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The dataset.
    pub set: &'a Set<'a>,
    /// Its folder, created if needed.
    pub into: &'a Path,
    /// A mirror to use instead of the addresses of the manifest.
    pub from: Option<&'a Mirror>,
    /// Timeouts and retries.
    pub patience: Patience,
}

/// A file that only a person can download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// Its name.
    pub name: String,
    /// A short description.
    pub what: String,
    /// Addresses for a browser, best first.
    pub addresses: Vec<String>,
    /// The path to save it as.
    pub save_as: PathBuf,
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.name, self.what)?;
        for (i, address) in self.addresses.iter().enumerate() {
            writeln!(f, "  {} {address}", if i == 0 { "open:" } else { "  or:" })?;
        }
        write!(f, "  save as: {}", self.save_as.display())
    }
}

/// The result of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Files that are still missing because only a person can download them.
    pub by_hand: Vec<ByHand>,
    /// Number of pictures present, and of the whole dataset.
    pub pictures: (u64, u64),
}

/// Downloads and unpacks every file of a dataset that is not present yet.
///
/// # Errors
/// Failures of servers, contents or storage, and pictures that cannot be counted; each variant of
/// [`Error`] documents its exit code.
/// Completed files are kept, and the next fetch continues from there.
pub fn fetch(request: &Request<'_>, hear: &mut Listener<'_>) -> Result<Report> {
    let Request { set, into, from, ref patience } = *request;
    let place = Place { into, set };
    let alone = Alone {
        what: "the folder is in use",
        expected: "one fetch at a time",
        remedy: "wait for it, or choose another folder with `--into`",
    };
    let _lock = lock(&place.own()?, &alone)?;
    place.sweep()?;
    for item in set.items {
        Record::of(into, set, item).belongs()?;
    }
    let client = Client::new(patience);
    let listed = match from {
        Some(from) => from.sums(&client, set)?,
        None => std::collections::BTreeMap::new(),
    };
    let mut by_hand = Vec::new();
    for item in set.items {
        let record = Record::of(into, set, item);
        record.recover(into)?;
        let there = Place::has(into, item) && !record.is_announced();
        let there = there && !saved_for_more(item, into, &record);
        let gone = record.gone(into)?;
        if there && gone.is_empty() {
            let how = if record.exists() { "" } else { ", not by this command" };
            hear(&Event::Note(format!("{}: is there already{how}", item.name)));
            continue;
        }
        if let Some((n, few)) = few_of(&gone, "file") {
            hear(&Event::Note(format!("{}: missing: {n} ({few})", item.name)));
        }
        let pinned = Pinned::new(item, listed.get(item.name).map(String::as_str));
        let (file, checked) = match find(item, request, (&client, pinned), hear)? {
            Found::File(file) => (file, None),
            Found::Downloaded(file, sha256) => (file, Some(sha256)),
            Found::Unpacked(folder) => {
                place.copy(item, &folder, hear)?;
                continue;
            }
            // The user may not need this file.
            Found::ByHand if there => {
                let (name, pages) = (item.name, item.by_hand.join(" or "));
                let save_as = into.join(name);
                hear(&Event::Note(format!(
                    "{name}: to have that again, open {pages} in a browser, save the file as {}, and run this again",
                    save_as.display()
                )));
                continue;
            }
            Found::ByHand => {
                by_hand.push(ByHand {
                    name: item.name.to_owned(),
                    what: item.what.to_owned(),
                    addresses: item.by_hand.iter().map(|&address| address.to_owned()).collect(),
                    save_as: into.join(item.name),
                });
                continue;
            }
        };
        let sha256 = match checked {
            Some(sha256) => sha256,
            None => pinned.check(&file, item.name, hear)?,
        };
        match item.then {
            Then::Unpack(limits) => place.unpack((item, limits), (&file, &sha256), hear)?,
            Then::Keep if file == into.join(item.name) => {}
            Then::Keep => place.copy(item, file.parent().unwrap_or(into), hear)?,
        }
    }
    let (folders, all) = set.pictures;
    let there = folders.iter().map(|folder| into.join(folder)).filter(|folder| folder.is_dir());
    let found = match there.map(|folder| pictures(&folder)).sum::<Result<usize>>() {
        // What is to be fetched by hand is told all the same.
        Err(error) if !by_hand.is_empty() => {
            hear(&Event::Note(error.to_string()));
            0
        }
        found => found? as u64,
    };
    Ok(Report { by_hand, pictures: (found, all) })
}

/// Whether a person, who had all that is needed, has saved this archive for what else it holds.
fn saved_for_more(item: &Item<'_>, into: &Path, record: &Record) -> bool {
    let saved = item.web.is_empty() && into.join(item.name).is_file();
    saved && !record.exists() && item.also.iter().any(|path| !into.join(path).exists())
}

/// Where a file was found.
enum Found {
    /// On this machine, not yet checked.
    File(PathBuf),
    /// On a server; its SHA-256.
    Downloaded(PathBuf, String),
    /// Its contents are in this folder.
    Unpacked(PathBuf),
    /// Nowhere that a program can reach.
    ByHand,
}

fn find(
    item: &Item<'_>,
    request: &Request<'_>,
    (client, pinned): (&Client, Pinned<'_>),
    hear: &mut Listener<'_>,
) -> Result<Found> {
    let path = request.into.join(item.name);
    if path.is_file() {
        return Ok(Found::File(path));
    }
    let addresses: Vec<String> = match request.from {
        Some(Mirror::Folder(folder)) => {
            let archive = folder.join(item.name);
            return if archive.is_file() {
                Ok(Found::File(archive))
            } else if Place::has(folder, item) {
                Ok(Found::Unpacked(folder.clone()))
            } else if let Some(folder) = Place::unpacked_in(folder, item) {
                Ok(Found::Unpacked(folder))
            } else if item.web.is_empty() {
                Ok(by_hand(item, request.into, hear))
            } else {
                let gives: Vec<String> = item.gives.iter().map(|any| any.join(" or ")).collect();
                Err(Error::missing(
                    &archive,
                    format!("the folder to fetch from has no {}", item.what),
                    format!("{}, or unpacked: {}", item.name, gives.join(", ")),
                    "put the file there, or fetch without `--from`",
                ))
            };
        }
        Some(Mirror::Web(base)) => vec![format!("{base}/{}", item.name)],
        None if item.web.is_empty() => return Ok(by_hand(item, request.into, hear)),
        None => item.web.iter().map(|&address| address.to_owned()).collect(),
    };
    let job = Job {
        name: item.name,
        pinned,
        cap: item.cap(),
        path: &path,
        after: if matches!(item.then, Then::Unpack(_)) { item.size.unwrap_or(0) } else { 0 },
        by_hand: Some(item.by_hand),
    };
    match download((client, &request.patience), &job, &addresses, hear)? {
        Download::Whole(sha256) => Ok(Found::Downloaded(path, sha256)),
        Download::Absent(_) if item.web.is_empty() => Ok(by_hand(item, request.into, hear)),
        Download::Absent(error) => Err(error),
    }
}

/// What no program can download: a person may have unpacked it in the dataset's folder.
fn by_hand(item: &Item<'_>, into: &Path, hear: &mut Listener<'_>) -> Found {
    if let Some(folder) = Place::unpacked_in(into, item) {
        let at = folder.display();
        let said =
            format!("{}: lies unpacked in {at}; what belongs to the dataset is copied", item.name);
        hear(&Event::Note(said));
        return Found::Unpacked(folder);
    }
    if let Some(inner) = Place::packed_in(into, item) {
        let said = format!(
            "{}: lies unpacked in {into}, but {inner} in it does not: unpack it there, and run this again",
            item.name,
            into = into.display(),
            inner = inner.display()
        );
        hear(&Event::Note(said));
    }
    Found::ByHand
}

/// Verifies existing files: downloads against the manifest, unpacked and copied files against the
/// hashes recorded at that time. Returns a line for each file of the dataset.
///
/// # Errors
/// [`Error::Missing`] when nothing of the dataset is present; [`Error::Malformed`] when something
/// is damaged or gone, after everything has been checked.
pub fn verify(set: &Set<'_>, into: &Path, hear: &mut Listener<'_>) -> Result<Vec<String>> {
    let (mut said, mut bad, mut found) = (Vec::new(), Vec::new(), false);
    for item in set.items {
        let (name, path) = (item.name, into.join(item.name));
        let pinned = Pinned::new(item, None);
        let is_pinned = path.is_file() && pinned.is_hashed();
        if is_pinned {
            found = true;
            match pinned.check(&path, name, hear) {
                Ok(_) => said.push(format!("{name}: the published file")),
                Err(error) => bad.push(error.reason()),
            }
        }
        let record = Record::of(into, set, item);
        if record.exists() {
            found = true;
            let (count, wrong) = record.verify(into, hear)?;
            if wrong.is_empty() {
                said.push(format!("{name}: {} as put there", counted(count, "file")));
            } else {
                bad.push(format!("of {name} {}", wrong.said()));
            }
        } else if record.is_announced() {
            found = true;
            said.push(format!("{name}: its fetch was not finished: fetch again"));
        } else if !is_pinned || matches!(item.then, Then::Unpack(_)) {
            let there = Place::has(into, item);
            found |= there;
            let what =
                if there { "was put there by hand: cannot be checked" } else { "is not there" };
            said.push(format!("{name}: {what}"));
        }
    }
    if !found {
        return Err(Error::missing(
            into,
            format!("there is nothing of {} to verify", set.title),
            "what a fetch puts there",
            format!("fetch it first: `stackgan data fetch {}`", set.name),
        ));
    }
    if bad.is_empty() {
        return Ok(said);
    }
    Err(Error::malformed(
        into,
        format!("{} is damaged", set.title),
        "files",
        ("what was fetched", bad.join("; ")),
        "remove what is damaged and fetch again",
    ))
}
