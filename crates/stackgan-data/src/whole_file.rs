//! A file that appears whole or not at all: it is written under another name, and gets its own when
//! it is complete.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::leftovers;
use crate::{Error, Result};

/// The folder in which a file of this name lies.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Gives a temporary file its name, also if another process has a file of that name open. It is
/// removed if that cannot be done.
///
/// # Errors
/// When the system cannot rename.
pub fn place(temporary: TempPath, path: &Path) -> io::Result<()> {
    // Not by `TempPath::persist`: on Windows that replaces no file that is open.
    let kept = temporary.keep()?;
    fs::rename(&kept, path).inspect_err(|_| drop(fs::remove_file(&kept)))
}

/// Removes the unfinished files that killed processes of this program left in a folder. Those that
/// are being written stay.
pub fn sweep(folder: &Path) {
    leftovers::sweep_files(folder, AtomicFile::is_unfinished);
}

/// Starts an unfinished file in a folder. If this process is killed, a later [`sweep`] removes it.
///
/// # Errors
/// When the system cannot create it.
pub fn temporary(folder: &Path, permissions: Option<Permissions>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).suffix(SUFFIX);
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    loop {
        let made = builder.tempfile_in(folder)?;
        if leftovers::claim(made.as_file(), made.path()) {
            return Ok(made);
        }
    }
}

/// The permissions of a new file, if the system does not give it those of its folder.
#[must_use]
pub fn usual() -> Option<Permissions> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // the umask applies
    #[cfg(not(unix))]
    None
}

/// A file that gets its name only when it is complete and on the disk.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    path: PathBuf,
    temporary: TempPath,
    writer: BufWriter<File>,
}

/// How the names of unfinished files of this program begin, in every folder.
pub const TEMPORARY: &str = ".tmp-";
/// How those of [`AtomicFile`] end.
const SUFFIX: &str = ".partial";

impl AtomicFile {
    /// Whether a name is one that this type uses before [`Self::commit`].
    pub(crate) fn is_unfinished(name: &str) -> bool {
        name.starts_with(TEMPORARY) && name.ends_with(SUFFIX)
    }

    /// Starts a file for `path`, after removing what killed processes left in its folder.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let failed = |e| Error::write(path, e);
        let folder = folder_of(path);
        sweep(folder);
        let (file, temporary) = temporary(folder, usual()).map_err(failed)?.into_parts();
        let writer = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { path: path.to_path_buf(), temporary, writer })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).map_err(|e| Error::write(&self.path, e))
    }

    /// Overwrites the beginning of the file, which holds a placeholder of the same length. What is
    /// written next goes to the end again.
    pub(crate) fn rewrite_start(&mut self, bytes: &[u8]) -> Result<()> {
        let rewrite = |writer: &mut BufWriter<File>| {
            writer.seek(SeekFrom::Start(0))?;
            writer.write_all(bytes)?;
            writer.seek(SeekFrom::End(0))
        };
        rewrite(&mut self.writer).map(drop).map_err(|e| Error::write(&self.path, e))
    }

    /// Syncs the file to the disk, then gives it its name.
    pub(crate) fn commit(self) -> Result<()> {
        let Self { path, temporary, writer } = self;
        let failed = |e| Error::write(&path, e);
        let file = writer.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)?;
        place(temporary, &path).map_err(failed)?;
        sync_folder(folder_of(&path)).map_err(failed)
    }
}

/// Syncs the names in a folder to the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_being_written_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(".tmp-Xy1z2w.partial");
        fs::write(&left, [0; 9]).unwrap();
        let theirs = dir.path().join(".tmp-mine");
        fs::write(&theirs, "a person's").unwrap();
        let other = AtomicFile::create(&dir.path().join("other")).unwrap();
        assert!(!left.exists() && theirs.exists());
        let mut file = AtomicFile::create(&dir.path().join("x")).unwrap();
        file.write(b"0000and").unwrap();
        file.rewrite_start(b"this").unwrap();
        assert!(!dir.path().join("x").exists());
        file.commit().unwrap();
        assert_eq!(fs::read(dir.path().join("x")).unwrap(), b"thisand");
        other.commit().unwrap();
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".tmp-mine", "other", "x"]);
    }

    #[test]
    fn a_file_that_is_open_is_replaced_and_stays_what_it_was_for_its_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "old").unwrap();
        let reader = File::open(&path).unwrap();
        let mut new = AtomicFile::create(&path).unwrap();
        new.write(b"new").unwrap();
        new.commit().unwrap();
        assert_eq!(io::read_to_string(reader).unwrap(), "old");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
