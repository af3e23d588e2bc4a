//! The few file operations that saving and loading need.
//!
//! Tests can make each of them fail, cut the power after each of them, and lose what was not
//! synced.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A file system, as far as checkpoints need one. Each method is one operation that may fail or be
/// the last one before a crash.
pub trait Files {
    /// A file open for writing.
    type Open;
    /// Creates a folder and its parents; an existing folder is not an error.
    ///
    /// # Errors
    /// The system's.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// The paths in a folder, in any order.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Creates an empty file, replacing an existing one.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<Self::Open>;
    /// Appends to the file and returns the number of bytes written, which may be fewer than given,
    /// as for `write(2)`.
    ///
    /// # Errors
    /// The system's.
    fn write(&self, file: &mut Self::Open, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until a file's contents are on the disk. This does not cover its name: see
    /// [`Files::sync_folder`].
    ///
    /// # Errors
    /// The system's. A second attempt may report success for bytes that were lost, so write the
    /// file anew.
    fn sync(&self, file: &Self::Open) -> io::Result<()>;
    /// Reads a whole file.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Reads at most `length` bytes from offset `at`; fewer only at the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>>;
    /// The length of a file in bytes.
    ///
    /// # Errors
    /// The system's.
    fn length(&self, path: &Path) -> io::Result<u64>;
    /// Renames a file, replacing an existing one.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on the disk.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// The number of bytes free in a folder; `None` if the system does not say.
    fn room(&self, folder: &Path) -> Option<u64>;
}

/// The operating system's files.
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
        // Opening a pipe would wait for a writer.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        fs::read(path)
    }

    fn read_at(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new(); // not all that is asked for need be there
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
        // Windows has no such call; NTFS keeps its names in a journal.
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    fn room(&self, folder: &Path) -> Option<u64> {
        fs4::available_space(folder).ok()
    }
}

/// Repeats an operation that a signal interrupted.
pub(super) fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_does_not_have_takes_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "abc").unwrap();
        assert_eq!(System.read_at(&file, 1, usize::MAX).unwrap(), b"bc");
        assert!(System.read_at(&file, 9, usize::MAX).unwrap().is_empty());
    }
}
