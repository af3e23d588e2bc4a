//! Fetching of the public datasets into a folder that can be imported: downloads that survive whatever the network does,
//! hashes before names, unpacking that trusts nobody. Nothing is printed: an [`Event`] says what happens.
//!
//! For each file of the [`manifest`]: is what it gives there already? Else it is taken from the folder or the mirror
//! that was named, or from its own addresses; compared with what is known of it; unpacked; and recorded. Files that
//! only a person can get are told in the [`Report`]. [`hub`] gets models of the Hugging Face hub in the same way.

mod download;
mod event;
mod hash;
mod http;
pub mod hub;
pub mod manifest;
mod names;
mod page;
mod part;
mod place;
mod record;
mod redirect;
pub(crate) mod room;
mod source;
mod transfer;

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{counted, first_few};
use crate::layouts::files;
use crate::{Error, Result};
use download::{Download, Job, download};
pub use event::{Doing, Event, Listener, bytes};
use hash::Pinned;
pub(crate) use hash::hex;
use http::Client;
use manifest::{Item, Set, Then};
use place::Place;
use record::Record;
pub use source::From;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a name to be resolved, and for a connection.
    pub connect: Duration,
    /// For the next bytes of a connection.
    pub stall: Duration,
    /// The fewest bytes in a second that count as bytes.
    pub slowest: u64,
    /// Tries in a row that bring less than `progress`.
    pub tries: u32,
    /// Bytes after which a try has brought something.
    pub progress: u64,
    /// Before the second try; doubled before each further one.
    pub pause: Duration,
}

impl Default for Patience {
    /// For people: 30 s without a byte, five tries, 1 to 8 s between them.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            slowest: 1024,
            tries: 5,
            progress: 256 << 10,
            pause: Duration::from_secs(1),
        }
    }
}

/// What is fetched, where from and where to.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The dataset.
    pub set: &'a Set<'a>,
    /// Its folder, made if need be.
    pub into: &'a Path,
    /// A mirror, in place of the addresses of the manifest.
    pub from: Option<&'a From>,
    /// How long to wait.
    pub patience: Patience,
}

/// A file that only a person can get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// Its name.
    pub name: String,
    /// What it is.
    pub what: String,
    /// Where a browser finds it, best first.
    pub addresses: Vec<String>,
    /// What it must be saved as.
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

/// How a fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Files that are still missing, because only a person can get them.
    pub by_hand: Vec<ByHand>,
    /// Pictures that are there, and pictures of the whole set.
    pub pictures: (u64, u64),
}

/// Gets every file of a dataset that is not there yet, and unpacks it.
///
/// # Errors
/// What a server, the bytes or the storage would not give; each variant of [`Error`] says its exit code. Whatever was
/// whole by then stays, and the next fetch goes on from there.
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
        let gone = record.gone(into)?;
        if there && gone.is_empty() {
            let how = if record.exists() { "" } else { ", not by this command" };
            hear(&Event::Note(format!("{}: is there already{how}", item.name)));
            continue;
        }
        if !gone.is_empty() {
            let (name, count) = (item.name, counted(gone.len(), "file"));
            hear(&Event::Note(format!("{name}: missing: {count} ({})", first_few(&gone))));
        }
        let pinned = Pinned::new(item, listed.get(item.name).map(String::as_str));
        let (file, checked) = match find(item, request, (&client, pinned), hear)? {
            Found::File(file) => (file, None),
            Found::Downloaded(file, sha256) => (file, Some(sha256)),
            Found::Unpacked(folder) => {
                place.copy(item, &folder, hear)?;
                continue;
            }
            // The rest may be all that a person wants.
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
            Then::Keep if file.starts_with(into) => {}
            Then::Keep => place.copy(item, file.parent().unwrap_or(into), hear)?,
        }
    }
    let count = |folder: &&str| files(&into.join(folder)).map_or(0, |found| found.len() as u64);
    let found = set.pictures.0.iter().map(count).sum();
    Ok(Report { by_hand, pictures: (found, set.pictures.1) })
}

/// Where a file was found.
enum Found {
    /// Here, unchecked.
    File(PathBuf),
    /// On a server; its SHA-256.
    Downloaded(PathBuf, String),
    /// What it gives lies in this folder.
    Unpacked(PathBuf),
    /// Nowhere that a program can go.
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
        Some(From::Folder(folder)) => {
            let archive = folder.join(item.name);
            return if archive.is_file() {
                Ok(Found::File(archive))
            } else if Place::has(folder, item) {
                Ok(Found::Unpacked(folder.clone()))
            } else if item.web.is_empty() {
                Ok(Found::ByHand)
            } else {
                let gives: Vec<String> = item.gives.iter().map(|any| any.join(" or ")).collect();
                Err(Error::Missing {
                    what: format!("the folder to fetch from has no {}", item.what),
                    file: archive,
                    expected: format!("{}, or unpacked: {}", item.name, gives.join(", ")),
                    remedy: "put the file there, or fetch without `--from`".to_owned(),
                })
            };
        }
        Some(From::Web(base)) => vec![format!("{base}/{}", item.name)],
        None if item.web.is_empty() => return Ok(Found::ByHand),
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
        Download::Absent(_) if item.web.is_empty() => Ok(Found::ByHand),
        Download::Absent(error) => Err(error),
    }
}

/// Checks again what is there: downloaded files against the manifest, unpacked and copied ones against the hashes
/// that were recorded then. Returns a line for each file of the set.
///
/// # Errors
/// [`Error::Missing`] when nothing of the set is there, [`Error::Malformed`] when something is damaged or gone, after
/// everything was looked at.
pub fn verify(set: &Set<'_>, into: &Path, hear: &mut Listener<'_>) -> Result<Vec<String>> {
    let (mut said, mut bad, mut found) = (Vec::new(), Vec::new(), false);
    for item in set.items {
        let (name, path) = (item.name, into.join(item.name));
        let pinned = Pinned::new(item, None);
        if path.is_file() && pinned.is_hashed() {
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
                said.push(format!("{name}: {count} files as they were put there"));
            } else {
                bad.push(format!("of {name} {}", wrong.said()));
            }
        } else if matches!(item.then, Then::Unpack(_)) {
            let there = Place::has(into, item);
            found |= there;
            let what =
                if there { "was put there by hand: cannot be checked" } else { "is not there" };
            said.push(format!("{name}: {what}"));
        }
    }
    if !found {
        return Err(Error::Missing {
            what: format!("there is nothing of {} to verify", set.title),
            file: into.to_path_buf(),
            expected: "what a fetch puts there".to_owned(),
            remedy: format!("fetch it first: `stackgan data fetch {}`", set.name),
        });
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

/// What is done one at a time, for when another is at work.
struct Alone<'a> {
    what: &'a str,
    expected: &'a str,
    remedy: &'a str,
}

/// A lock, until it is dropped. The system lets go of it when the program ends, however it ends.
struct Lock(File);

impl Drop for Lock {
    /// Closing alone is not enough where a child process that is just being started has the file open, too.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Locks a folder by its file `LOCK`.
fn lock(folder: &Path, alone: &Alone<'_>) -> Result<Lock> {
    let path = folder.join("LOCK");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(|e| Error::write(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::Storage {
            what: alone.what.into(),
            file: path,
            expected: alone.expected.into(),
            found: "another that is at work".into(),
            remedy: alone.remedy.to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(Error::write(&path, e)),
    }
}
