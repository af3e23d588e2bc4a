//! Unpacking of a `.tgz` or `.zip` as if its author meant harm (RELIABILITY 4.3, X1 to X5).
//!
//! Plain files and folders only; no name that leaves the folder or is there twice; what an archive says of itself must
//! agree with itself; sizes are counted while they are written, never believed. Everything goes into a new folder
//! that only its owner can enter: whoever asked moves it into place when it is whole, and an error removes it.

mod names;
mod sink;
mod tarball;
mod zipped;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::{Error, Result};
use sink::Sink;

/// What an archive may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes in all. A twentieth of it must be in the archive: packed further is a bomb.
    pub bytes: u64,
    /// Most bytes of one file.
    pub file: u64,
    /// Most files and folders.
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

/// An archive that was unpacked whole. Dropping it removes the folder.
#[derive(Debug)]
pub struct Unpacked {
    /// The folder with the files.
    pub folder: tempfile::TempDir,
    /// The files, in the order of the archive.
    pub members: Vec<Member>,
}

/// How often the archive's own length may come out of it.
const RATIO: u64 = 20;
/// So much may come out of the smallest archive, in bytes.
const FLOOR: u64 = 1 << 20;

/// The start of the name of a folder that is being unpacked into.
pub(crate) const PREFIX: &str = "unpacking-";

/// Unpacks `archive` into a new folder in `beside`. The kind is told from its first bytes. `progress` hears how many
/// bytes of the archive are done.
///
/// # Errors
/// [`Error::Malformed`] names the archive and the entry that is refused; nothing is left on the disk then, and nothing
/// is ever written outside the new folder. [`Error::Write`] when the storage refuses.
pub fn unpack(
    archive: &Path,
    beside: &Path,
    limits: Limits,
    progress: &mut dyn FnMut(u64),
) -> Result<Unpacked> {
    let mut file = File::open(archive).map_err(|e| Error::read(archive, e))?;
    let length = file.metadata().map_err(|e| Error::read(archive, e))?.len();
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start).map_err(|e| Error::read(archive, e))?;
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(beside) // mode 0700
        .map_err(|e| Error::write(beside, e))?;
    let packed = length.saturating_mul(RATIO).max(FLOOR);
    let limits = Limits { bytes: limits.bytes.min(packed), ..limits };
    let mut sink = Sink::new(archive, folder.path(), limits);
    match start.as_slice() {
        [0x1f, 0x8b, ..] => {
            sink.room_on_disk(length)?; // at the least: gzip does not say how much comes out
            tarball::unpack(archive, &mut sink, progress)?;
        }
        [b'P', b'K', ..] => zipped::unpack(archive, length, &mut sink, progress)?,
        _ => {
            let found = format!("other bytes ({length} in all)");
            return Err(Error::malformed(
                archive,
                "this is no archive",
                "start",
                ("a gzipped tar archive or a zip archive", found),
                AGAIN,
            ));
        }
    }
    Ok(Unpacked { folder, members: sink.members })
}

/// What to do about an archive that is refused.
const AGAIN: &str =
    "nothing was unpacked; remove the archive and fetch it again, from its own page";
