//! Checks of free disk space before writing, and syncing.

use std::path::Path;

use super::event::bytes;
use crate::whole_file::sync_folder;
use crate::{Error, Result};

/// Fails if `folder` has less than `needed` bytes free. Succeeds if the system does not say.
///
/// # Errors
/// [`Error::Storage`] with both numbers.
pub(crate) fn require(folder: &Path, needed: u64, what: &str) -> Result<()> {
    let free = fs4::available_space(folder).ok();
    let Some(free) = free.filter(|free| *free < needed) else { return Ok(()) };
    Err(Error::Storage {
        what: format!("there is no room to {what}").into(),
        file: folder.to_path_buf(),
        expected: format!("{} free", bytes(needed)).into(),
        found: bytes(free).into(),
        remedy: format!("free {}, or choose another folder", bytes(needed - free)),
    })
}

/// Syncs all files below a folder, in one call if the system can.
pub(crate) fn sync_all_below(folder: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    let synced = std::fs::File::open(folder).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
    #[cfg(not(target_os = "linux"))]
    let synced = sync_folder(folder);
    synced.map_err(|e| Error::write(folder, e))
}

/// Syncs the names in a folder.
pub(crate) fn sync_names(folder: &Path) -> Result<()> {
    sync_folder(folder).map_err(|e| Error::write(folder, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_asked_for_and_missed() {
        let dir = tempfile::tempdir().unwrap();
        require(dir.path(), 1, "write").unwrap();
        let said = require(dir.path(), u64::MAX, "unpack").unwrap_err();
        assert!(matches!(said, Error::Storage { .. }));
        for part in ["no room to unpack", "expected 18446744073.71 GB free, found ", "do: free "] {
            assert!(said.to_string().contains(part), "{said}");
        }
    }
}
