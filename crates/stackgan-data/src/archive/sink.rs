//! Writes the entries of an archive to one folder within limits, counting and hashing them.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use super::names::{Kind, Names, safe};
use crate::digest::passed_on;
use crate::error::printable;
use crate::fetch::room;
use crate::whole_folder::make_folder;
use crate::{Error, Result};

/// Limits on the contents of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum total size in bytes. It is also bounded by 20 times the archive's size (or 1 MiB, if
    /// that is more), because a higher compression ratio is treated as a bomb.
    pub bytes: u64,
    /// Maximum size of one file in bytes.
    pub file: u64,
    /// Maximum number of files and folders.
    pub entries: usize,
}

/// One file that was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path in the archive, with `/` between names.
    pub path: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// The SHA-256 of its contents, in hexadecimal digits.
    pub sha256: String,
}

/// What is wrong with an archive whose entries are not taken.
pub(crate) const NOT_SAFE: &str = "the archive is not safe";
/// The remedy for a rejected archive.
pub(super) const AGAIN: &str =
    "nothing was unpacked; remove the archive and fetch it again, from its own page";

/// The folder that is being filled.
pub(super) struct Sink<'a> {
    archive: &'a Path,
    root: PathBuf,
    limits: Limits,
    /// Number of bytes that may still be written.
    left: u64,
    entries: usize,
    names: Names,
    /// The files so far.
    pub(super) members: Vec<Member>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(archive: &'a Path, root: &Path, limits: Limits) -> Self {
        let (root, left) = (root.to_path_buf(), limits.bytes);
        let (names, members) = (Names::default(), Vec::new());
        Self { archive, root, limits, left, entries: 0, names, members }
    }

    /// The error about an entry, given its raw name.
    pub(super) fn refuse(&self, raw: &[u8], found: impl Into<Box<str>>) -> Error {
        let expected = "plain files and folders, each once, below one folder";
        Error::malformed(self.archive, NOT_SAFE, place_of(raw), (expected, found), AGAIN)
    }

    /// The error of an archive that contradicts itself or is truncated.
    pub(super) fn damaged(&self, place: impl Into<Box<str>>, found: impl Into<Box<str>>) -> Error {
        let expected = "a whole archive";
        Error::malformed(self.archive, "the archive is damaged", place, (expected, found), AGAIN)
    }

    /// Checks the total number of entries against the limit.
    pub(super) fn room_for(&self, entries: usize) -> Result<()> {
        if entries <= self.limits.entries {
            return Ok(());
        }
        let found = format!("more than {} entries", self.limits.entries);
        Err(self.refuse(b"", found))
    }

    /// Checks that `bytes` more may be written.
    pub(super) fn room_for_bytes(&self, bytes: u64) -> Result<()> {
        if bytes <= self.left {
            return Ok(());
        }
        let found = format!("{bytes} bytes, where {} are the most", self.left);
        Err(self.refuse(b"", found))
    }

    /// Checks that `bytes` are free on the disk.
    pub(super) fn room_on_disk(&self, bytes: u64) -> Result<()> {
        let name = self.archive.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        room::require(&self.root, bytes, &format!("unpack {name}"))
    }

    pub(super) fn folder(&mut self, raw: &[u8]) -> Result<()> {
        let path = self.enter(raw, Kind::Folder)?;
        make_folder(&self.root.join(path))
    }

    /// Writes a file with the `claimed` number of bytes.
    pub(super) fn file(&mut self, raw: &[u8], claimed: u64, from: &mut dyn Read) -> Result<()> {
        let path = self.enter(raw, Kind::File)?;
        let most = self.left.min(self.limits.file);
        if claimed > most {
            return Err(self.refuse(raw, format!("{claimed} bytes, where {most} are the most")));
        }
        let place = self.root.join(&path);
        if let Some(parent) = place.parent() {
            make_folder(parent)?;
        }
        let failed = |e| Error::write(&place, e);
        let mut out = File::create_new(&place).map_err(failed)?;
        let unread = |e: std::io::Error| self.damaged(place_of(raw), printable(&e.to_string()));
        let (bytes, sha256) = passed_on(from, unread, |piece, bytes| {
            if bytes > claimed {
                return Err(self.refuse(raw, format!("more than the {claimed} bytes it claims")));
            }
            out.write_all(piece).map_err(failed)
        })?;
        if bytes != claimed {
            let found = format!("{bytes} bytes, where it claims {claimed}");
            return Err(self.damaged(place_of(raw), found));
        }
        self.left -= bytes;
        self.members.push(Member { path, bytes, sha256 });
        Ok(())
    }

    fn enter(&mut self, raw: &[u8], kind: Kind) -> Result<String> {
        self.entries += 1;
        self.room_for(self.entries)?;
        let path = safe(raw).map_err(|why| self.refuse(raw, why))?;
        match (path.is_empty(), kind) {
            (true, Kind::Folder) => return Ok(path),
            (true, Kind::File) => return Err(self.refuse(raw, "a file without a name")),
            (false, _) => {}
        }
        self.names.enter(&path, kind).map_err(|why| self.refuse(raw, why))?;
        Ok(path)
    }
}

/// The place of an entry, given its raw name.
pub(super) fn place_of(raw: &[u8]) -> String {
    format!("entry \"{}\"", printable(&String::from_utf8_lossy(raw)))
}
