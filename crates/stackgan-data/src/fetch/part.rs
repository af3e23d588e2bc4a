//! An incomplete download: `NAME.part`, and beside it a file with its origin.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::room;
use crate::{Error, Result};

/// The server and file that the bytes came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The requested address.
    pub(super) address: String,
    /// The server's strong `ETag`, with its quotes.
    pub(super) etag: Option<String>,
    /// The server's `Last-Modified`.
    pub(super) last_modified: Option<String>,
    /// Length of the whole file in bytes.
    pub(super) length: Option<u64>,
}

impl Origin {
    /// The value of `If-Range`, with which the server resumes only the same file.
    pub(super) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().or(self.last_modified.as_deref())
    }
}

/// The paths of both files.
pub(super) struct Part {
    pub(super) path: PathBuf,
    origin: PathBuf,
}

impl Part {
    pub(super) fn of(file: &Path) -> Self {
        let mut path = file.as_os_str().to_owned();
        path.push(".part");
        let mut origin = path.clone();
        origin.push(".origin");
        Self { path: path.into(), origin: origin.into() }
    }

    /// Number of bytes downloaded.
    pub(super) fn len(&self) -> u64 {
        self.path.metadata().map_or(0, |facts| facts.len())
    }

    /// The origin of the bytes; the default if it is not known.
    pub(super) fn origin(&self) -> Origin {
        let text = fs::read_to_string(&self.origin).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Starts over with an empty part of `origin`. The old bytes are removed before the new origin
    /// is written, so that an interruption never mixes the two.
    pub(super) fn begin(&self, origin: &Origin) -> Result<File> {
        let file = File::create(&self.path).map_err(|e| Error::write(&self.path, e))?;
        let text = serde_json::to_string(origin).unwrap_or_default();
        fs::write(&self.origin, text).map_err(|e| Error::write(&self.origin, e))?;
        Ok(file)
    }

    /// Resumes after the first `have` bytes.
    pub(super) fn go_on(&self, have: u64) -> Result<File> {
        let failed = |e| Error::write(&self.path, e);
        let mut file = OpenOptions::new().write(true).open(&self.path).map_err(failed)?;
        file.set_len(have).map_err(failed)?;
        file.seek(SeekFrom::Start(have)).map_err(failed)?;
        Ok(file)
    }

    /// Removes both files.
    pub(super) fn remove(&self) -> Result<()> {
        for path in [&self.path, &self.origin] {
            match fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::write(path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Renames the complete file to its final name.
    pub(super) fn finish(&self, file: &Path) -> Result<()> {
        fs::rename(&self.path, file).map_err(|e| Error::write(file, e))?;
        if let Some(folder) = file.parent() {
            room::sync_names(folder)?;
        }
        self.remove()
    }
}
