//! Locks of folders in which one process may work at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::{Error, Result};

/// What is done under a lock, for the message when another process holds it.
pub(super) struct Alone<'a> {
    pub(super) what: &'a str,
    pub(super) expected: &'a str,
    pub(super) remedy: &'a str,
}

/// A lock that is held until it is dropped. The system releases it when the program ends, however
/// it ends.
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough if a child process that is just being started has it open
    /// too.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Locks a folder by its file `LOCK`.
pub(super) fn lock(folder: &Path, alone: &Alone<'_>) -> Result<Lock> {
    let path = folder.join("LOCK");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(|e| Error::write(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::Storage {
            what: alone.what.into(),
            file: path,
            expected: alone.expected.into(),
            found: "another that is at work".into(),
            remedy: alone.remedy.to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(Error::write(&path, e)),
    }
}
