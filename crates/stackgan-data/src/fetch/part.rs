//! A download that is not whole: `NAME.part`, and beside it where it came from.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::room;
use crate::{Error, Result};

/// Which file of which server the bytes are of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The address that was asked.
    pub(super) address: String,
    /// The server's strong `ETag`, with its quotes.
    pub(super) etag: Option<String>,
    /// The server's `Last-Modified`.
    pub(super) last_modified: Option<String>,
    /// The length of the whole file, in bytes.
    pub(super) length: Option<u64>,
}

impl Origin {
    /// What `If-Range` says, so that the server goes on only with the same file.
    pub(super) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().or(self.last_modified.as_deref())
    }
}

/// The two files.
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

    /// Bytes that are there.
    pub(super) fn len(&self) -> u64 {
        self.path.metadata().map_or(0, |facts| facts.len())
    }

    /// Where they came from; nothing where that is not known.
    pub(super) fn origin(&self) -> Origin {
        let text = fs::read_to_string(&self.origin).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Starts over: an empty part of `origin`. The old bytes go before the new origin comes, so that the two are never
    /// mixed, whenever this is interrupted.
    pub(super) fn begin(&self, origin: &Origin) -> Result<File> {
        let file = File::create(&self.path).map_err(|e| Error::write(&self.path, e))?;
        let text = serde_json::to_string(origin).unwrap_or_default();
        fs::write(&self.origin, text).map_err(|e| Error::write(&self.origin, e))?;
        Ok(file)
    }

    /// Goes on after the first `have` bytes.
    pub(super) fn go_on(&self, have: u64) -> Result<File> {
        let failed = |e| Error::write(&self.path, e);
        let mut file = OpenOptions::new().write(true).open(&self.path).map_err(failed)?;
        file.set_len(have).map_err(failed)?;
        file.seek(SeekFrom::Start(have)).map_err(failed)?;
        Ok(file)
    }

    /// Removes both.
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

    /// Gives the whole file its name.
    pub(super) fn finish(&self, file: &Path) -> Result<()> {
        fs::rename(&self.path, file).map_err(|e| Error::write(file, e))?;
        if let Some(folder) = file.parent() {
            room::sync_names(folder)?;
        }
        self.remove()
    }
}
