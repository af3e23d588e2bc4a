//! A folder that appears whole or not at all: it is filled under another name, and gets its own when
//! it is complete.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::printable;
use crate::leftovers;
use crate::{Error, Result};

/// The file that is locked while a folder is filled.
const LOCK: &str = "LOCK";

/// A folder that is being filled. Dropping it removes what is not placed.
#[derive(Debug)]
pub(crate) struct Growing<'a> {
    dir: &'a Path,
    partial: tempfile::TempDir,
    into: Placement,
    /// Held until it is removed.
    lock: Option<fs::File>,
}

/// Where the contents go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    /// The folder is new, and renamed as a whole.
    New,
    /// An existing folder keeps its name, which may be a link, a file system or `.`.
    There,
}

/// What is made, for messages and names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// The beginning of the error, such as `toy birds are not drawn over what is there`.
    pub(crate) over: &'static str,
    /// Prefix of the names of unfinished folders; hidden, so that readers of folders ignore them.
    pub(crate) prefix: &'static str,
}

impl<'a> Growing<'a> {
    /// Begins the folder `dir`, after removing what killed processes left where it will be filled.
    ///
    /// # Errors
    /// [`Error::Config`] if `dir` exists and is not an empty folder; storage errors.
    pub(crate) fn begin(dir: &'a Path, made: Made) -> Result<Self> {
        refuse_occupied(dir, made)?;
        let (parent, into) = match dir.parent() {
            _ if dir.is_dir() => (dir, Placement::There),
            Some(parent) if !parent.as_os_str().is_empty() => (parent, Placement::New),
            _ => (Path::new("."), Placement::New),
        };
        let failed = |e| Error::write(parent, e);
        make_folder(parent)?;
        leftovers::sweep_folders(parent, LOCK, |name| name.starts_with(made.prefix));
        loop {
            let partial = tempfile::Builder::new().prefix(made.prefix).tempdir_in(parent);
            let partial = partial.map_err(failed)?;
            let path = partial.path().join(LOCK);
            let lock = match fs::File::create(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue, // swept before it was locked
                created => created.map_err(failed)?,
            };
            if leftovers::claim(&lock, &path) {
                let growing = Self { dir, partial, into, lock: Some(lock) };
                fs::create_dir(growing.root()).map_err(failed)?;
                return Ok(growing);
            }
        }
    }

    /// The folder to fill.
    pub(crate) fn root(&self) -> PathBuf {
        self.partial.path().join("whole")
    }

    /// A folder for what will not be a part of it.
    #[cfg(feature = "fetch")] // for what is unpacked
    pub(crate) fn aside(&self) -> &Path {
        self.partial.path()
    }

    /// Gives the folder its name, or its contents, of which those named `last` come last, in this
    /// order.
    ///
    /// # Errors
    /// When the system cannot rename: for example because something is there now.
    pub(crate) fn place(&self, last: &[&str]) -> std::io::Result<()> {
        let root = self.root();
        if self.into == Placement::New {
            return fs::rename(root, self.dir);
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&root)? {
            names.push(entry?.file_name());
        }
        names.sort_by_key(|name| last.iter().position(|last| name == last).map_or(0, |at| at + 1));
        for name in names {
            fs::rename(root.join(&name), self.dir.join(&name))?;
        }
        Ok(())
    }
}

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            leftovers::remove_folder(self.partial.path(), LOCK, lock);
        }
    }
}

/// Creates a folder that need not appear whole, and those in which it is.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))
}

/// Refuses a folder with something in it, except what others are making or have left unfinished.
pub(crate) fn refuse_occupied(dir: &Path, made: Made) -> Result<()> {
    let is_partial = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(made.prefix);
    let found = match fs::read_dir(dir) {
        Ok(inside) => match inside.flatten().find(|entry| !is_partial(&entry.file_name())) {
            None => return Ok(()),
            Some(_) => "a folder with something in it",
        },
        Err(e) if e.kind() == ErrorKind::NotFound && dir.is_symlink() => {
            "a link that leads nowhere"
        }
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(_) if dir.is_file() => "a file",
        Err(e) => return Err(Error::read(dir, e)),
    };
    Err(Error::config(
        made.over,
        ("a new or an empty folder", format!("{}: {found}", printable(&dir.to_string_lossy()))),
        "name another folder, or remove this one first",
    ))
}
