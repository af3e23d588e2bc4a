//! Atomic writes: after any failure a file is complete or absent.

use std::io;
use std::path::{Path, PathBuf};

use stackgan_data::whole_file::{TEMPORARY, folder_of};

use super::files::{Files, System, patiently};
use crate::{Error, Result};

/// Number of bytes written and read back at a time.
pub(super) const PIECE: usize = 4 << 20;

/// Number of attempts for a save that is interrupted by signals.
const TRIES: usize = 5;

/// The result of one operation of a save; the error names the operation.
pub type Step = std::result::Result<(), (&'static str, io::Error)>;

/// The contents to write. They must be the same at every call.
pub trait Contents {
    /// Total number of bytes.
    fn length(&self) -> u64;
    /// Calls `each` with one piece after the other.
    ///
    /// # Errors
    /// Those of `each`, and an error when a piece cannot be produced.
    fn pieces(&self, each: &mut dyn FnMut(&[u8]) -> Step) -> Step;
}

impl Contents for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn pieces(&self, each: &mut dyn FnMut(&[u8]) -> Step) -> Step {
        self.chunks(PIECE).try_for_each(each)
    }
}

/// Writes a file atomically: to a temporary name, then sync, read back, rename, and sync of the
/// folder.
///
/// # Errors
/// [`Error::Storage`]. The temporary file is removed, and an existing file of this name keeps its
/// old contents (or has the new ones, if only the last sync failed).
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(&System, path, bytes)
}

/// As [`write_atomically`], on any file system.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_with(
    files: &impl Files,
    path: &Path,
    contents: &(impl Contents + ?Sized),
) -> Result<()> {
    let mut tries = 1;
    loop {
        match attempt(files, path, contents) {
            // A failed sync must not be retried on the same file, so everything is written anew.
            Err(failed) if failed.source.kind() == io::ErrorKind::Interrupted && tries < TRIES => {
                tries += 1;
            }
            Err(failed) => return Err(failed.into_error(files, contents.length())),
            Ok(()) => return Ok(()),
        }
    }
}

/// The operation that failed, and its error.
struct Failed {
    action: &'static str,
    file: PathBuf,
    source: io::Error,
}

impl Failed {
    fn into_error(self, files: &impl Files, needed: u64) -> Error {
        let Self { action, file, source } = self;
        let full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let room = files.room(file.parent().unwrap_or_else(|| Path::new(".")));
        match room.filter(|_| full) {
            None => storage(action, &file, source),
            Some(free) => {
                let remedy =
                    format!("the file needs {needed} bytes and {free} are free: make room");
                Error::Storage { action, file, source, remedy }
            }
        }
    }
}

fn attempt(
    files: &impl Files,
    path: &Path,
    contents: &(impl Contents + ?Sized),
) -> std::result::Result<(), Failed> {
    let folder = folder_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!("{TEMPORARY}{name}"));
    let failed = |action, file: &Path, source| Failed { action, file: file.to_path_buf(), source };
    let result = write_and_verify(files, &temporary, contents)
        .map_err(|(action, source)| failed(action, &temporary, source))
        .and_then(|()| {
            files.rename(&temporary, path).map_err(|e| failed("rename", path, e))?;
            files.sync_folder(folder).map_err(|e| failed("sync the folder", folder, e))
        });
    if result.is_err() {
        drop(files.remove(&temporary)); // best effort: the first error is the one that matters
    }
    result
}

fn write_and_verify(files: &impl Files, path: &Path, contents: &(impl Contents + ?Sized)) -> Step {
    let mut file = files.create(path).map_err(|e| ("create", e))?;
    contents.pieces(&mut |mut rest| {
        while !rest.is_empty() {
            let taken = patiently(|| files.write(&mut file, rest)).map_err(|e| ("write", e))?;
            if taken == 0 {
                return Err(("write", io::ErrorKind::WriteZero.into()));
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    })?;
    files.sync(&file).map_err(|e| ("sync", e))?;
    let mut at = 0;
    let mut holds = |piece: &[u8], length: usize| {
        let found = patiently(|| files.read_at(path, at, length)).map_err(|e| ("read back", e))?;
        at += piece.len() as u64;
        if found == piece {
            return Ok(());
        }
        let text = "what was read back differs from what was written";
        Err(("verify", io::Error::other(text)))
    };
    contents.pieces(&mut |piece| holds(piece, piece.len()))?;
    holds(&[], 1) // and nothing follows
}

pub(crate) fn storage(action: &'static str, file: &Path, source: io::Error) -> Error {
    let remedy = "check free space and permissions".to_owned();
    Error::Storage { action, file: file.to_path_buf(), source, remedy }
}
