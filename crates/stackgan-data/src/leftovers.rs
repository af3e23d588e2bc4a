//! Files and folders that are being made, and those that a killed process left behind.
//!
//! Whoever makes one holds a lock on a file of it, which the system releases however the process
//! ends. So what can be locked is a leftover.

use std::fs::{self, File, TryLockError};
use std::path::Path;

/// Locks the `file` at `path` for as long as it is open. Returns whether it may be used: another
/// process may have taken it for a leftover before it was locked.
pub(crate) fn claim(file: &File, path: &Path) -> bool {
    // Where nothing can be locked, nothing is taken for a leftover either.
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && path.exists()
}

/// Removes the files in `folder` whose makers are gone, of those whose names `are_ours`.
pub(crate) fn sweep_files(folder: &Path, are_ours: impl Fn(&str) -> bool) {
    for path in named(folder, are_ours) {
        if let Some(_lock) = path.is_file().then(|| abandoned(&path)).flatten() {
            let _ = fs::remove_file(&path); // if it cannot be removed, it does no harm
        }
    }
}

/// Removes the folders in `folder` whose makers are gone: they hold a file `lock`.
pub(crate) fn sweep_folders(folder: &Path, lock: &str, are_ours: impl Fn(&str) -> bool) {
    for path in named(folder, are_ours) {
        if let Some(_lock) = abandoned(&path.join(lock)) {
            let _ = fs::remove_dir_all(&path); // if it cannot be removed, it does no harm
        }
    }
}

/// The lock of a file that nobody holds.
fn abandoned(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.try_lock().is_ok().then_some(file)
}

fn named(folder: &Path, are_ours: impl Fn(&str) -> bool) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_str().is_some_and(&are_ours));
    ours.map(|entry| entry.path()).collect()
}
