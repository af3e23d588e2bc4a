//! Results as files, which are written atomically.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Result;
use stackgan_data::whole_file::{self, folder_of};
use stackgan_train::store::write_atomically;

use crate::exit::Problem;

/// Refuses to replace a file by an import: what was trained may lie there.
///
/// # Errors
/// Code 2.
pub(crate) fn check_new(out: &Path) -> Result<()> {
    if !out.is_file() {
        return Ok(());
    }
    let place = format!("file: {}", out.display());
    let parts = ("no file", "one of this name");
    let remedy = "name another file: `--out FILE`; or remove this one, if it is no longer needed";
    Err(Problem::usage("the import would replace a file", place, parts, remedy).into())
}

/// Writes a result, creating its folder if needed.
///
/// An existing file is kept until the new one is complete. A link stays a link; a pipe or a device
/// is written to directly. Unlike a checkpoint, the file is neither synced nor read back, because
/// pictures are numerous and can be painted again.
///
/// # Errors
/// [`Problem`] of the storage.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, |file| file.write_all(bytes).map_err(|e| Problem::storage(path, &e).into()))
}

/// As [`write_file`], for what took hours to make: it is synced and read back, as a checkpoint is.
///
/// # Errors
/// [`Problem`] of the storage.
pub(crate) fn write_kept(path: &Path, bytes: &[u8]) -> Result<()> {
    create_folder_of(path)?;
    match path.metadata() {
        Ok(facts) if !facts.is_file() => write_file(path, bytes),
        Ok(_) => Ok(write_atomically(
            &path.canonicalize().map_err(|e| Problem::storage(path, &e))?,
            bytes,
        )?),
        Err(_) => Ok(write_atomically(path, bytes)?),
    }
}

/// As [`write_file`], for contents that are produced in pieces, which takes long: `pieces` receives
/// the file. First removes what killed processes left unfinished in its folder.
///
/// # Errors
/// [`Problem`] of the storage, and those of `pieces`.
pub(crate) fn write_pieces(
    path: &Path,
    pieces: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    whole_file::sweep(folder_of(path));
    write(path, pieces)
}

fn write(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>) -> Result<()> {
    create_folder_of(path)?;
    let refused = |e: io::Error| Problem::storage(path, &e);
    let (real, permissions) = match path.metadata() {
        Ok(facts) if !facts.is_file() => {
            return fill(&File::create(path).map_err(refused)?, path, write);
        }
        Ok(facts) => (path.canonicalize().map_err(refused)?, Some(facts.permissions())),
        Err(_) => (path.to_path_buf(), whole_file::usual()),
    };
    let refused = |e: io::Error| Problem::storage(&real, &e);
    let file = whole_file::temporary(folder_of(&real), permissions).map_err(refused)?;
    fill(file.as_file(), &real, write)?;
    Ok(whole_file::place(file.into_temp_path(), &real).map_err(refused)?)
}

fn fill(
    file: &File,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    file.flush().map_err(|e| Problem::storage(path, &e).into())
}

/// Checks that a result can be written before hours of work are spent on it.
///
/// # Errors
/// [`Problem`] of the storage.
pub(crate) fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        let error = io::Error::new(io::ErrorKind::IsADirectory, "a folder of this name");
        return Err(Problem::storage(path, &error).into());
    }
    if path.exists() && !path.is_file() {
        return Ok(());
    }
    let there = folder_of(path).ancestors().find(|folder| folder.exists());
    let there = there.filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    tempfile::tempfile_in(there).map(drop).map_err(|e| Problem::storage(there, &e).into())
}

/// Creates the folder in which a file of this name will lie.
///
/// # Errors
/// [`Problem`] of the storage.
pub(crate) fn create_folder_of(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    Ok(std::fs::create_dir_all(folder).map_err(|e| Problem::storage(folder, &e))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_replaces_what_lay_there_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/a.png");
        write_file(&file, b"one").unwrap();
        write_file(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(dir.path().join("new").read_dir().unwrap().count(), 1);
        let error = write_pieces(&file, |file| {
            file.write_all(b"half")?;
            anyhow::bail!("no more")
        });
        assert_eq!(error.unwrap_err().to_string(), "no more");
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(dir.path().join("new").read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_before_the_next_long_result() {
        let dir = tempfile::tempdir().unwrap();
        let (file, left) = (dir.path().join("a.png"), dir.path().join(".tmp-Xy1z2w.partial"));
        let mut unfinished = Vec::new();
        let written = write_pieces(&file, |pieces| {
            let entry = dir.path().read_dir()?.flatten().next();
            unfinished.extend(entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
            Ok(pieces.write_all(b"whole")?)
        });
        written.unwrap();
        assert!(unfinished.iter().all(|name| name.ends_with(".partial")) && unfinished.len() == 1);
        std::fs::write(&left, "half").unwrap();
        write_pieces(&file, |pieces| Ok(pieces.write_all(b"again")?)).unwrap();
        assert!(!left.exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_permissions_and_devices_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.png"), dir.path().join("link"));
        write_file(&file, b"one").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_file(&link, b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        write_file(Path::new("/dev/null"), b"three").unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_written_is_found_out_before() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.txt"), "").unwrap();
        for bad in [dir.path().to_path_buf(), dir.path().join("a.txt/b")] {
            let error = check_writable(&bad).unwrap_err();
            assert_eq!(crate::exit::code(&error), crate::exit::Exit::Storage, "{error}");
        }
        check_writable(&dir.path().join("a/b/c.json")).unwrap();
        check_writable(Path::new("c.json")).unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }
}
