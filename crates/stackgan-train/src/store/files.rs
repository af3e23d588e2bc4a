//! The few file operations that a save and a load are made of, so that tests can fail each of them, cut the power after
//! each of them, and lose what was not synced.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A file system, as far as checkpoints need one. Each method is one operation that may fail or be the last.
pub trait Files {
    /// A file open for writing.
    type Open;
    /// Makes a folder and those above it; one that is there is no error.
    ///
    /// # Errors
    /// The system's.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// The paths in a folder, in any order.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Opens a new empty file, in place of one of this name.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<Self::Open>;
    /// Writes at the end of what was written; the number of bytes taken, as `write(2)`: perhaps not all.
    ///
    /// # Errors
    /// The system's.
    fn write(&self, file: &mut Self::Open, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until a file's bytes are on the disk. Not its name: see [`Files::sync_folder`].
    ///
    /// # Errors
    /// The system's. A second try may claim success for bytes that were dropped: write the file anew.
    fn sync(&self, file: &Self::Open) -> io::Result<()>;
    /// All bytes of a file.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The bytes of a file from number `at` on, at most `length`: fewer only at its end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>>;
    /// How many bytes a file has.
    ///
    /// # Errors
    /// The system's.
    fn length(&self, path: &Path) -> io::Result<u64>;
    /// Gives a file another name, in place of one that has it.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until a folder's names are on the disk.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Bytes that can still be written in a folder; `None` where the system does not say.
    fn room(&self, folder: &Path) -> Option<u64>;
}

/// The system's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Files for System {
    type Open = File;

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        File::create(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Whoever opens a pipe waits for a writer.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        fs::read(path)
    }

    fn read_at(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn room(&self, folder: &Path) -> Option<u64> {
        let facts = rustix::fs::statvfs(folder).ok()?;
        Some(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}

/// Tries again what a signal interrupted.
pub(super) fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
