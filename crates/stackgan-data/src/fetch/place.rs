//! Moves a complete archive's contents, or those of an existing dataset folder, to the dataset's
//! folder.
//!
//! Work is done in a separate folder below it. Complete files are moved into place by renaming,
//! between the announcement of the record and its confirmation. An existing folder is filled up;
//! files that the user put there are never overwritten and not recorded.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::event::{Doing, Event, Listener, bytes};
use super::manifest::{Item, Set, Then};
use super::record::{FOLDER, Record};
use super::room;
use crate::archive::{self, Limits, Member, Unpacked};
use crate::digest::passed_on;
use crate::error::{counted, few_of, first_few};
use crate::layouts::{checked_key, files, slashed};
use crate::whole_file::AtomicFile;
use crate::whole_folder::make_folder;
use crate::{Error, Result};

/// An archive in the archive: `AttnGAN`'s `birds.zip` contains the captions packed once more
/// (taoxugit/AttnGAN issue 9).
const INNER: &str = "text.zip";

/// The dataset's folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) into: &'a Path,
    pub(super) set: &'a Set<'a>,
}

impl Place<'_> {
    /// The folder for records and unfinished work, created if needed.
    pub(super) fn own(&self) -> Result<PathBuf> {
        let own = self.into.join(FOLDER);
        make_folder(&own)?;
        Ok(own)
    }

    /// Removes leftovers of an interrupted fetch: only names that this module uses.
    pub(super) fn sweep(&self) -> Result<()> {
        let own = self.own()?;
        for entry in fs::read_dir(&own).map_err(|e| Error::read(&own, e))?.flatten() {
            let name = entry.file_name();
            let path = entry.path();
            let name = name.to_string_lossy();
            if name.starts_with(archive::PREFIX) && path.is_dir() {
                fs::remove_dir_all(&path).map_err(|e| Error::write(&path, e))?;
            } else if AtomicFile::is_unfinished(&name) {
                fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
            }
        }
        Ok(())
    }

    /// Whether everything that `item` provides is in `folder`.
    pub(super) fn has(folder: &Path, item: &Item<'_>) -> bool {
        item.gives.iter().all(|any| any.iter().any(|path| folder.join(path).exists()))
    }

    /// The folder in `folder` into which a person unpacked the archive, if everything that `item`
    /// provides is there: it has the archive's name, and some programs put another of that name into
    /// it.
    pub(super) fn unpacked_in(folder: &Path, item: &Item<'_>) -> Option<PathBuf> {
        by_hand(folder, item).into_iter().flatten().find(|folder| Self::has(folder, item))
    }

    /// The archive of captions in such a folder, if nobody has unpacked that.
    pub(super) fn packed_in(folder: &Path, item: &Item<'_>) -> Option<PathBuf> {
        let inner = by_hand(folder, item).into_iter().flatten().map(|folder| folder.join(INNER));
        inner.into_iter().find(|inner| inner.is_file())
    }

    /// Unpacks an archive whose hash has been checked.
    pub(super) fn unpack(
        &self,
        (item, limits): (&Item<'_>, Limits),
        (file, sha256): (&Path, &str),
        hear: &mut Listener<'_>,
    ) -> Result<()> {
        let own = self.own()?;
        let total = Some(file.metadata().map_err(|e| Error::read(file, e))?.len());
        hear(&Event::Begin { doing: Doing::Unpacking, file: item.name.to_owned(), total });
        let unpacked = archive::unpack(file, &own, limits, &mut |done| hear(&Event::At(done)))?;
        let Unpacked { folder, mut members } = unpacked;
        let root = heart(folder.path(), item)?;
        let captions = root.join(INNER);
        if captions.is_file() && !root.join("text").exists() {
            let inner = archive::unpack(&captions, &own, limits, &mut |_| {})?;
            let from = heart(inner.folder.path(), item)?;
            members.retain(|member| folder.path().join(&member.path) != captions);
            fs::remove_file(&captions).map_err(|e| Error::write(&captions, e))?;
            let mut more = relative(&inner, &from, folder.path(), &root);
            more.retain(|member| is_free(folder.path(), &member.path));
            members.extend(more);
            move_in(children(&from)?, &from, &root)?;
        }
        if !Self::has(&root, item) {
            let wanted: Vec<&str> =
                item.gives.iter().filter_map(|any| any.first().copied()).collect();
            let found: Vec<String> = members.iter().map(|member| member.path.clone()).collect();
            return Err(Error::malformed(
                file,
                format!("{} does not hold what it should", item.name),
                "list of entries",
                (wanted.join(", "), first_few(&found)),
                "take the archive from the address that this command names; or unpack it by hand and put what it \
                 holds into the dataset's folder",
            ));
        }
        let (count, sum) = (members.len(), members.iter().map(|member| member.bytes).sum());
        let base = folder.path();
        let files = members.into_iter().filter_map(|Member { path, sha256, .. }| {
            let path = base.join(path);
            Some((slashed(path.strip_prefix(&root).ok()?), sha256))
        });
        let files = files.filter(|(path, _)| is_kept(path)).collect();
        let files = self.free(item, files, hear)?;
        self.settle(item, &root, (&format!("{} {sha256}", item.name), files))?;
        hear(&Event::End(format!("{}, {}", counted(count, "file"), bytes(sum))));
        Ok(())
    }

    /// Copies what `item` provides, and the other files that it lists, from the dataset in `from`.
    pub(super) fn copy(&self, item: &Item<'_>, from: &Path, hear: &mut Listener<'_>) -> Result<()> {
        let own = self.own()?;
        let staging = tempfile::Builder::new().prefix(archive::PREFIX).tempdir_in(&own);
        let staging = staging.map_err(|e| Error::write(&own, e))?;
        let paths = item.gives.iter().flat_map(|any| any.iter()).chain(item.also);
        let tops: BTreeSet<&str> = paths.filter_map(|path| path.split('/').next()).collect();
        let mut wanted = Vec::new();
        for top in tops {
            let path = from.join(top);
            if path.is_dir() {
                let found = files(&path)?;
                wanted
                    .extend(found.into_iter().map(|(name, path)| (format!("{top}/{name}"), path)));
            } else if path.is_file() {
                wanted.push((top.to_owned(), path));
            }
        }
        // A record holds only names that are safe to read back.
        let is_safe = |name: &str| checked_key(name, from, 0).is_ok();
        let (wanted, odd): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|(name, _)| is_safe(name));
        let odd: Vec<String> = odd.into_iter().map(|(name, _)| name).collect();
        if let Some((n, few)) = few_of(&odd, "file") {
            let said = format!("{}: not copied, for the names: {n} ({few})", item.name);
            hear(&Event::Note(said));
        }
        let wanted = self.free(item, wanted, hear)?;
        let sizes = wanted.iter().filter_map(|(_, path)| path.metadata().ok());
        let total = sizes.map(|facts| facts.len()).sum();
        room::require(&own, total, &format!("copy from {}", from.display()))?;
        let (doing, file) = (Doing::Copying, item.what.to_owned());
        hear(&Event::Begin { doing, file, total: Some(total) });
        let (mut done, mut copied) = (0, Vec::with_capacity(wanted.len()));
        for (name, path) in wanted {
            let (length, sha256) = copy_file(&path, &staging.path().join(&name))?;
            done += length;
            hear(&Event::At(done));
            copied.push((name, sha256));
        }
        let source = format!("the folder {}", from.display());
        let count = copied.len();
        self.settle(item, staging.path(), (&source, copied))?;
        hear(&Event::End(format!("{}, {}", counted(count, "file"), bytes(total))));
        Ok(())
    }

    /// The `files` whose destinations are free. Reports destinations that are taken by other files.
    fn free<T>(
        &self,
        item: &Item<'_>,
        files: Vec<(String, T)>,
        hear: &mut Listener<'_>,
    ) -> Result<Vec<(String, T)>> {
        let (free, taken): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(path, _)| is_free(self.into, path));
        let own = Record::of(self.into, self.set, item).own()?;
        let others = taken.into_iter().map(|(path, _)| path).filter(|path| !own.contains_key(path));
        let others: Vec<String> = others.collect();
        if let Some((n, few)) = few_of(&others, "file") {
            hear(&Event::Note(format!("{}: kept what was there: {n} ({few})", item.name)));
        }
        Ok(free)
    }

    /// Moves `files`, and everything else with a free destination, from `root` to the dataset's
    /// folder.
    ///
    /// The data is synced before the renames. The record is announced before the first move and
    /// confirmed after the last; it keeps the earlier entries that still exist.
    fn settle(
        &self,
        item: &Item<'_>,
        root: &Path,
        (from, files): (&str, Vec<(String, String)>),
    ) -> Result<()> {
        room::sync_all_below(root)?;
        let record = Record::of(self.into, self.set, item);
        let mut own = record.own()?;
        own.retain(|path, _| self.into.join(path).exists());
        own.extend(files);
        record.announce(from, &own)?;
        move_in(children(root)?, root, self.into)?;
        record.confirm()
    }
}

/// The folders in `folder` into which a person may have unpacked the archive.
fn by_hand(folder: &Path, item: &Item<'_>) -> Option<[PathBuf; 2]> {
    let Then::Unpack(_) = item.then else { return None };
    let name = item.name.split('.').next()?;
    Some([folder.join(name), folder.join(name).join(name)])
}

/// The folder in an unpacked archive that holds what `item` provides: the top level, or a single
/// folder in it.
fn heart(folder: &Path, item: &Item<'_>) -> Result<PathBuf> {
    let tops: Vec<&str> =
        item.gives.iter().flat_map(|any| any.iter()).filter_map(|p| p.split('/').next()).collect();
    let mut at = folder.to_path_buf();
    loop {
        let inside = children(&at)?;
        let [only] = inside.as_slice() else { return Ok(at) };
        if tops.contains(&only.as_str()) || !at.join(only).is_dir() {
            return Ok(at);
        }
        at.push(only);
    }
}

/// The entries of a folder, without those that macOS adds to archives.
fn children(folder: &Path) -> Result<Vec<String>> {
    Ok(names(folder)?.into_iter().filter(|name| is_kept(name)).collect())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::read(folder, e))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Whether a path of an archive is moved to the dataset's folder.
fn is_kept(path: &str) -> bool {
    let top = path.split('/').next().unwrap_or_default();
    !top.starts_with('.') && top != "__MACOSX" && top != "prepared"
}

/// Whether a file can be placed at `path` below `folder`: nothing has this path, and no parent in
/// it is a file or a link.
fn is_free(folder: &Path, path: &str) -> bool {
    let mut at = folder.to_path_buf();
    for name in path.split('/') {
        at.push(name);
        match at.symlink_metadata() {
            Ok(facts) if facts.is_dir() => {}
            Ok(_) => return false,
            Err(e) => return e.kind() == ErrorKind::NotFound,
        }
    }
    false
}

/// Moves the entries `these` from `from` to `to`. An entry that does not exist there is moved as a
/// whole; existing folders are merged file by file. Other entries stay. The names are synced
/// afterwards.
fn move_in(these: Vec<String>, from: &Path, to: &Path) -> Result<()> {
    let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|facts| facts.is_dir());
    for name in these {
        let (source, target) = (from.join(&name), to.join(&name));
        if is_free(to, &name) {
            fs::rename(&source, &target).map_err(|e| Error::write(&target, e))?;
        } else if is_folder(&source) && is_folder(&target) {
            move_in(names(&source)?, &source, &target)?;
        }
    }
    room::sync_names(to)
}

/// The files of an inner archive, with paths as if they had been in the outer one.
fn relative(inner: &Unpacked, from: &Path, outer: &Path, root: &Path) -> Vec<Member> {
    let place = |member: &Member| {
        let path = inner.folder.path().join(&member.path);
        let path = root.join(path.strip_prefix(from).ok()?);
        Some(Member { path: slashed(path.strip_prefix(outer).ok()?), ..member.clone() })
    };
    inner.members.iter().filter_map(place).collect()
}

/// Copies a file's contents, without its permissions. Returns its length and SHA-256.
fn copy_file(from: &Path, to: &Path) -> Result<(u64, String)> {
    let (read, write) = (|e| Error::read(from, e), |e| Error::write(to, e));
    if let Some(parent) = to.parent() {
        make_folder(parent)?;
    }
    let source = File::open(from).map_err(read)?;
    let mut target = File::create_new(to).map_err(write)?;
    passed_on(source, read, |piece, _| target.write_all(piece).map_err(write))
}
