//! The folder of a run, such as `runs/00012-toy-stage1/`: numbered, locked, and readable without
//! this program.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use stackgan_data::whole_file::TEMPORARY;

use crate::run_files::RunFiles;
use crate::store::{storage, write_atomically};
use crate::{Error, Result};

/// A run folder, locked by this process until the value is dropped.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    lock: Mutex<File>,
}

impl RunDir {
    /// Creates the next numbered folder under `root`, called `NNNNN-name`.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn create(root: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(root).map_err(|e| storage("make the folder", root, e))?;
        let mut number = numbered(root)?.last().map_or(0, |(n, _)| n + 1);
        loop {
            let path = root.join(format!("{number:05}-{name}"));
            match fs::create_dir(&path) {
                Ok(()) => return Self::open(&path),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    number = number.checked_add(1).ok_or_else(|| Error::Storage {
                        action: "make the run folder",
                        file: path,
                        source: io::Error::other("there is no larger number"),
                        remedy: "give folders with large numbers other names".to_owned(),
                    })?;
                }
                Err(e) => return Err(storage("make the run folder", &path, e)),
            }
        }
    }

    /// Opens and locks a run folder, creating it if needed.
    ///
    /// # Errors
    /// [`Error::Storage`] when another process holds the lock.
    pub fn open(path: &Path) -> Result<Self> {
        let files = RunFiles::of(path);
        for folder in [path.to_path_buf(), files.samples(), files.checkpoints()] {
            fs::create_dir_all(&folder).map_err(|e| storage("make the folder", &folder, e))?;
        }
        let lock = locked(path, "another process is training in it; nothing was changed")?;
        sweep(path);
        Ok(Self { path: path.to_path_buf(), lock: Mutex::new(lock) })
    }

    /// Takes the lock anew where somebody removed its file.
    ///
    /// # Errors
    /// [`Error::Storage`] when another process holds the folder by now.
    pub(crate) fn keep_hold(&self) -> Result<()> {
        // A poisoned lock: taking it failed elsewhere, and the file is the old one.
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if is_removed(&lock) {
            let taken = "its LOCK was removed, and another process trains in it";
            *lock = self.here(locked(&self.path, taken))?;
        }
        Ok(())
    }

    /// The folders under `root` called `NNNNN-…`, oldest first.
    ///
    /// # Errors
    /// [`Error::Storage`] when `root` exists and cannot be listed.
    pub fn list(root: &Path) -> Result<Vec<PathBuf>> {
        if !root.is_dir() {
            return Ok(Vec::new());
        }
        Ok(numbered(root)?.into_iter().map(|(_, path)| path).collect())
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where things lie in the folder.
    #[must_use]
    pub fn files(&self) -> RunFiles<'_> {
        RunFiles::of(&self.path)
    }

    /// Writes a small file of the folder atomically.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.here(write_atomically(path, bytes))
    }

    /// Says in an error of the storage that the folder is gone, if it is: then there is no lack of space
    /// or permissions.
    pub(crate) fn here<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|mut error| {
            if let Error::Storage { remedy, .. } = &mut error
                && self.path.try_exists().is_ok_and(|there| !there)
            {
                *remedy = format!(
                    "the run folder is gone or was moved: bring {} back, or go on where it lies now",
                    self.path.display()
                );
            }
            error
        })
    }

    /// Appends a line to a file of the folder, as [`append`] does.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn append_line(&self, path: &Path, line: &Value) -> Result<()> {
        self.here(append(path, &format!("{line}\n")))
    }

    /// Appends a line to `stats.jsonl`. Its clock gives the seconds since this process started or
    /// resumed the run.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn append_stats(
        &self,
        step: u64,
        epoch: u64,
        (seconds, since): (f64, u64),
        values: &[(&str, f64)],
    ) -> Result<()> {
        let seconds = (seconds * 1000.0).round() / 1000.0;
        let mut line = json!({ "step": step, "epoch": epoch, "seconds": seconds, "since": since });
        for (name, value) in values {
            line[*name] = json!(value);
        }
        self.append_line(&self.files().stats(), &line)
    }

    /// Truncates `stats.jsonl` or `eval.jsonl` to the lines up to `step`, because a resumed run takes
    /// later steps again.
    ///
    /// Returns the number of lines that could not be read, which are removed too. An unterminated
    /// last line was not written completely and is not counted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn cut_lines(&self, path: &Path, step: u64) -> Result<usize> {
        let bytes = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0), // none was written yet
            read => read.map_err(|e| storage("read", path, e))?,
        };
        let of = |line: &[u8]| serde_json::from_slice::<Value>(line).ok()?.get("step")?.as_u64();
        let (mut kept, mut damaged) = (Vec::with_capacity(bytes.len()), 0);
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            match (of(line), line.ends_with(b"\n")) {
                (Some(at), true) if at <= step => kept.extend_from_slice(line),
                (None, true) => damaged += 1,
                _ => {}
            }
        }
        if kept != bytes {
            self.write(path, &kept)?;
        }
        Ok(damaged)
    }

    /// Whether a run has already written statistics here.
    pub(crate) fn is_begun(&self) -> bool {
        fs::metadata(self.files().stats()).is_ok_and(|facts| facts.len() > 0)
    }
}

/// Appends whole lines to a file. After an error it is as it was, because half a line would swallow
/// the next one; so would one that a kill left, which is ended first.
///
/// # Errors
/// [`Error::Storage`].
pub fn append(path: &Path, lines: &str) -> Result<()> {
    let written = || {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let (before, mut last) = (file.metadata()?.len(), [b'\n']);
        if before > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let ends = if last == [b'\n'] { "" } else { "\n" };
        let written = file.write_all(format!("{ends}{lines}").as_bytes());
        if written.is_err() {
            let _ = file.set_len(before); // the first error is the one that matters
        }
        written
    };
    written().map_err(|e| storage("append to", path, e))
}

/// Locks a run folder for as long as the file is open. `taken` is the message if another process
/// holds the lock.
fn locked(folder: &Path, taken: &str) -> Result<File> {
    let file = RunFiles::of(folder).lock();
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&file);
    let lock = lock.map_err(|e| storage("open the lock", &file, e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Storage {
            action: "use the run folder",
            file,
            source: io::Error::other(taken),
            remedy: "wait for that process, stop it, or train in another folder with --run"
                .to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(storage("lock the run folder", &file, e)),
    }
}

/// Whether an open file has been unlinked.
#[cfg(unix)]
fn is_removed(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().is_ok_and(|facts| facts.nlink() == 0)
}

/// On other systems an open file keeps its name.
#[cfg(not(unix))]
const fn is_removed(_: &File) -> bool {
    false
}

/// Prefix of a folder in which a checkpoint was timed.
const TIMING: &str = ".tmp-timing-";

/// Removes the temporary files of interrupted writes, and what was left of a timing. A file that cannot be removed does no harm.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(TIMING.as_bytes()) {
            drop(fs::remove_dir_all(entry.path()));
        } else if name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

fn numbered(root: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let entries = fs::read_dir(root).map_err(|e| storage("list", root, e))?;
    let number = |path: &Path| path.file_name()?.to_str()?.split_once('-')?.0.parse().ok();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()).filter(|p| p.is_dir()))
        .filter_map(|path| number(&path).map(|n| (n, path)))
        .filter(|(n, _)| *n < u32::MAX) // no run has that many before it
        .collect();
    found.sort();
    Ok(found)
}

/// Removes a file if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(storage("remove", path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_is_no_run() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("4294967295-x")).unwrap();
        assert!(RunDir::create(root.path(), "toy").unwrap().path().ends_with("00000-toy"));
        fs::create_dir(root.path().join("4294967294-x")).unwrap();
        assert!(RunDir::create(root.path(), "toy").unwrap().path().ends_with("4294967295-toy"));
        let error = RunDir::create(root.path(), "toy").unwrap_err().to_string();
        assert!(error.contains("no larger number") && error.contains("do: "), "{error}");
    }

    #[test]
    fn folders_are_numbered_and_belong_to_one_process_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = RunDir::create(root.path(), "toy-stage1").unwrap();
        let second = RunDir::create(root.path(), "toy-stage2").unwrap();
        assert!(
            first.path().ends_with("00000-toy-stage1")
                && second.path().ends_with("00001-toy-stage2")
        );
        let path = first.path().to_path_buf();
        let writing = path.join(".tmp-model.safetensors");
        fs::write(&writing, "half a model").unwrap();
        let text = RunDir::open(&path).unwrap_err().to_string();
        assert!(text.contains("another process"), "{text}");
        assert!(writing.exists(), "the other process is writing it");
        drop(first);
        RunDir::open(&path).unwrap();
        assert!(!writing.exists(), "nobody is writing it any more");
        assert_eq!(RunDir::list(root.path()).unwrap().len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_was_removed_is_taken_anew_or_the_other_s() {
        let root = tempfile::tempdir().unwrap();
        let first = RunDir::create(root.path(), "x").unwrap();
        let lock = first.files().lock();
        fs::remove_file(&lock).unwrap();
        first.keep_hold().unwrap();
        RunDir::open(first.path()).unwrap_err();
        fs::remove_file(&lock).unwrap();
        let second = RunDir::open(first.path()).unwrap();
        let said = first.keep_hold().unwrap_err().to_string();
        assert!(said.contains("LOCK was removed") && said.contains("another process"), "{said}");
        second.keep_hold().unwrap();
    }

    #[test]
    fn stats_are_cut_to_a_step() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "x").unwrap();
        for step in 1..=5 {
            dir.append_stats(step, 0, (0.5, 0), &[("d_loss", 1.25)]).unwrap();
        }
        let stats = dir.files().stats();
        assert_eq!(dir.cut_lines(&stats, 3).unwrap(), 0);
        let text = fs::read_to_string(&stats).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|l| l.contains("\"d_loss\":1.25")), "{text}");
        fs::write(&stats, text + "{\"step\":3,\"d_lo").unwrap();
        assert_eq!(dir.cut_lines(&stats, 3).unwrap(), 0);
        assert_eq!(fs::read_to_string(&stats).unwrap().lines().count(), 3);
    }

    #[test]
    fn half_a_line_swallows_no_other() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("lines");
        append(&file, "one\n").unwrap();
        append(&file, "two\nthree\n").unwrap();
        fs::write(&file, fs::read_to_string(&file).unwrap() + "ha").unwrap();
        append(&file, "four\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\nthree\nha\nfour\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_gone_is_no_lack_of_space() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "x").unwrap();
        let file = dir.files().config();
        let error = dir.write(&file.join("no"), b"x").unwrap_err().to_string();
        assert!(error.contains("check free space"), "{error}");
        fs::remove_dir_all(dir.path()).unwrap();
        for failed in [dir.write(&file, b"x"), dir.append_stats(1, 0, (0.5, 0), &[])] {
            let error = failed.unwrap_err().to_string();
            assert!(error.contains("is gone or was moved") && !error.contains("space"), "{error}");
        }
    }
}
