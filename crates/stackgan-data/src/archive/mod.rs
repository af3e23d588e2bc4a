//! Unpacking of `.tar`, `.tgz` and `.zip` archives that may be hostile.
//!
//! Only plain files and folders are unpacked. A name that leads out of the folder or occurs twice
//! is rejected, and so is an archive whose parts contradict each other. Sizes are counted while
//! they are written and never taken from the headers.
//!
//! Everything is written to a new folder that only its owner can enter. The caller moves it into
//! place when it is complete; an error removes it.

mod names;
mod sink;
mod tarball;
mod zipped;

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::{Error, Result};
pub(crate) use sink::NOT_SAFE;
use sink::{AGAIN, Sink};
pub use sink::{Limits, Member};
use tarball::Packing;

/// A completely unpacked archive. Dropping it removes the folder.
#[derive(Debug)]
pub struct Unpacked {
    /// The folder with the files.
    pub folder: tempfile::TempDir,
    /// The files, in the order of the archive.
    pub members: Vec<Member>,
}

/// How many bytes a part of an archive or table may have when it is unpacked: 20 times its `packed` ones,
/// or 1 MiB if that is more.
pub(crate) fn may_unpack_to(packed: u64) -> u64 {
    packed.saturating_mul(20).max(1 << 20)
}

/// Number of bytes by which an archive's format is recognised.
const START: u64 = 512;

/// Prefix of the name of a folder that is being unpacked into.
pub(crate) const PREFIX: &str = "unpacking-";

/// Unpacks `archive` into a new folder in `beside`.
///
/// The format is recognised by the first bytes. `progress` is called with the number of bytes of
/// the archive that have been processed.
///
/// # Errors
/// [`Error::Malformed`] names the archive and the rejected entry; nothing is left on disk then, and
/// nothing is ever written outside the new folder. [`Error::Write`] when the storage fails.
pub fn unpack(
    archive: &Path,
    beside: &Path,
    limits: Limits,
    progress: &mut dyn FnMut(u64),
) -> Result<Unpacked> {
    let mut file = File::open(archive).map_err(|e| Error::read(archive, e))?;
    let length = file.metadata().map_err(|e| Error::read(archive, e))?.len();
    let mut start = Vec::new();
    file.by_ref().take(START).read_to_end(&mut start).map_err(|e| Error::read(archive, e))?;
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(beside) // mode 0700
        .map_err(|e| Error::write(beside, e))?;
    let limits = Limits { bytes: limits.bytes.min(may_unpack_to(length)), ..limits };
    let mut sink = Sink::new(archive, folder.path(), limits);
    match start.as_slice() {
        [0x1f, 0x8b, ..] => {
            sink.room_on_disk(length)?; // a lower bound: gzip does not give the size
            tarball::unpack(archive, Packing::Gzip, &mut sink, progress)?;
        }
        tar if tar.get(257..262) == Some(b"ustar") => {
            sink.room_on_disk(length)?;
            if !ends(&mut file, length).map_err(|e| Error::read(archive, e))? {
                return Err(sink.damaged("end", "no end mark: a part of the archive is missing"));
            }
            tarball::unpack(archive, Packing::None, &mut sink, progress)?;
        }
        [b'P', b'K', ..] => zipped::unpack(archive, length, &mut sink, progress)?,
        _ => {
            let found = format!("other bytes ({length} in all)");
            let pair = ("a tar archive, gzipped or not, or a zip archive", found);
            return Err(Error::malformed(archive, "this is no archive", "start", pair, AGAIN));
        }
    }
    Ok(Unpacked { folder, members: sink.members })
}

/// Whether a tar archive ends in a block of zeros. One that was cut off between two entries looks
/// whole otherwise; gzip has a checksum instead.
fn ends(file: &mut File, length: u64) -> std::io::Result<bool> {
    let mut last = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(START)))?;
    file.take(START).read_to_end(&mut last)?;
    Ok(last.iter().all(|&byte| byte == 0))
}
