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

/// Removes the folders in `folder` whose makers are gone: nobody holds their file `lock`, or they are
/// empty, as they are before it is made and after it is removed.
pub(crate) fn sweep_folders(folder: &Path, lock: &str, are_ours: impl Fn(&str) -> bool) {
    for path in named(folder, are_ours) {
        let _ = fs::remove_dir(&path); // whoever is about to make the lock begins anew
        if let Some(held) = abandoned(&path.join(lock)) {
            remove_folder(&path, lock, held);
        }
    }
}

/// Removes a folder, its file `lock`, which is `held`, last: one that is left half removed can be
/// swept.
pub(crate) fn remove_folder(path: &Path, lock: &str, held: File) {
    // What cannot be removed does no harm.
    for inside in named(path, |name| name != lock) {
        let _ =
            if inside.is_dir() { fs::remove_dir_all(&inside) } else { fs::remove_file(&inside) };
    }
    drop(held); // Windows removes no folder with an open file
    let _ = fs::remove_dir_all(path);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A maker can be killed before it made the lock, and while it or a sweep removes a folder.
    #[test]
    fn folders_are_swept_wherever_their_makers_were_killed() {
        let all = tempfile::tempdir().unwrap();
        for name in ["without", "alone", "filled", "held", "other"] {
            fs::create_dir(all.path().join(name)).unwrap();
        }
        for path in ["alone/LOCK", "filled/LOCK", "filled/picture", "held/LOCK", "held/picture"] {
            fs::write(all.path().join(path), "").unwrap();
        }
        fs::create_dir_all(all.path().join("filled/whole/pictures")).unwrap();
        let held = File::open(all.path().join("held/LOCK")).unwrap();
        assert!(claim(&held, &all.path().join("held/LOCK")));
        sweep_folders(all.path(), "LOCK", |name| name != "other");
        let mut left: Vec<_> =
            fs::read_dir(all.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["held", "other"]);
        assert!(all.path().join("held/picture").is_file());
        remove_folder(&all.path().join("held"), "LOCK", held);
        assert!(!all.path().join("held").exists());
    }
}
