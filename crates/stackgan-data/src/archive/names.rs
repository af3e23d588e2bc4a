//! Names of an archive's entries: which are safe, and which have occurred before.

use std::collections::BTreeMap;

/// Maximum length of a name between slashes and of a path, in bytes.
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 1024;
/// Maximum number of names in a path.
const DEPTH: usize = 16;

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

/// The names that have occurred, case-folded as on case-insensitive file systems.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, (String, Kind)>);

impl Names {
    /// Adds the path of an entry and the folders above it.
    ///
    /// # Errors
    /// Says what the path collides with.
    pub(super) fn enter(&mut self, path: &str, kind: Kind) -> Result<(), String> {
        for (end, _) in path.match_indices('/') {
            self.one(path.get(..end).unwrap_or_default(), Kind::Folder)?;
        }
        if kind == Kind::File && self.0.contains_key(&path.to_lowercase()) {
            return Err("a name that is there twice".to_owned());
        }
        self.one(path, kind)
    }

    fn one(&mut self, path: &str, kind: Kind) -> Result<(), String> {
        let known = self.0.entry(path.to_lowercase()).or_insert_with(|| (path.to_owned(), kind));
        if known.1 != kind {
            return Err("a name that is a file and a folder".to_owned());
        }
        if known.0 != path {
            return Err("two names that differ in case only".to_owned());
        }
        Ok(())
    }
}

/// The path of an entry, with plain names between single slashes; empty for the archive's own
/// folder (`./`).
///
/// # Errors
/// Says what is wrong with the name.
pub(super) fn safe(raw: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(raw).map_err(|_| "a name that is no UTF-8".to_owned())?;
    if text.is_empty() {
        return Err("no name".to_owned());
    }
    if text.starts_with('/') {
        return Err("an absolute path".to_owned());
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '\\' | ':')) {
        return Err("a backslash, colon or control character in a name".to_owned());
    }
    let mut names = Vec::new();
    for name in text.strip_suffix('/').unwrap_or(text).split('/') {
        match name {
            "." => {}
            "" => return Err("an empty name".to_owned()),
            ".." => return Err("a path that leaves the folder".to_owned()),
            _ if name.ends_with(['.', ' ']) => {
                return Err("a name that ends in a dot or blank".to_owned());
            }
            _ if name.len() > LONGEST_NAME => {
                return Err(format!("a name of {} bytes", name.len()));
            }
            _ => names.push(name),
        }
    }
    let path = names.join("/");
    if names.len() > DEPTH || path.len() > LONGEST_PATH {
        return Err(format!("a path of {} names and {} bytes", names.len(), path.len()));
    }
    Ok(path)
}
