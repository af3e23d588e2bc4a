//! Safety of picture names. Names come from files that anyone may have written, and may only lead
//! into the dataset's own folder.

use crate::error::printable;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Checks that `key` is a relative path of plain names: no `..`, root, drive, backslash or control
/// character.
///
/// # Errors
/// Names `file`, the entry and the offending key.
pub(crate) fn checked_key(key: &str, file: &Path, entry: usize) -> Result<()> {
    let plain = |name: &str| !matches!(name, "" | "." | "..");
    let safe = key.len() <= 1024
        && key.split('/').all(plain)
        && !key.chars().any(|c| c.is_control() || matches!(c, '\\' | ':'));
    if safe {
        return Ok(());
    }
    let remedy = if key.contains('\\') {
        "write `/` between the names of folders, and paths from the dataset's folder on"
    } else if key.starts_with('/') || key.get(1..3) == Some(":/") {
        "write paths from the dataset's folder on, without a drive or a `/` before them"
    } else {
        "do not use this file unless you trust its source; a name must stay inside the dataset"
    };
    Err(Error::malformed(
        file,
        "picture name is not safe",
        format!("entry {entry}"),
        ("a relative path of plain names", format!("\"{}\"", printable(key))),
        remedy,
    ))
}

/// The path `root/name` if it exists and, with links resolved, is inside `root`, which must be
/// canonical. `Ok(None)` if it does not exist.
///
/// # Errors
/// When a link leads out of `root`, or the path cannot be examined.
pub(crate) fn inside(root: &Path, name: &str) -> Result<Option<PathBuf>> {
    let path = root.join(name);
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::read(&path, e)),
    };
    if real.starts_with(root) {
        return Ok(Some(path));
    }
    Err(Error::malformed(
        &path,
        "link leads out of the dataset",
        "symbolic link",
        ("a file inside the dataset's folder", printable(&real.display().to_string())),
        "copy what it leads to into the dataset's folder",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_names_pass() {
        let file = Path::new("filenames.pickle");
        for good in [
            "a",
            "001.Black_footed_Albatross/Black_Footed_0046_18",
            "jpg/image_06734",
            "ü b/…",
            "a/..b",
        ] {
            assert!(checked_key(good, file, 0).is_ok(), "{good}");
        }
        let bad = [
            "",
            "/etc/passwd",
            "../x",
            "a/../x",
            "a/..",
            "..",
            ".",
            "a/./b",
            "a//b",
            "a/",
            "..\\x",
            "C:\\x",
            "C:x",
            "a\0b",
            "a\nb",
            "\\\\host\\x",
            "a/\u{1b}[2J",
            "file:///etc",
            "//x",
            "a\\..\\b",
        ];
        for bad in bad {
            let error = checked_key(bad, file, 7).unwrap_err().to_string();
            assert!(error.contains("entry 7"), "{error}");
        }
        assert!(checked_key(&"x/".repeat(600), file, 0).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::fs::write(root.join("own"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("own", root.join("in")).unwrap();
        let root = root.canonicalize().unwrap();
        assert!(inside(&root, "own").unwrap().is_some());
        assert!(inside(&root, "in").unwrap().is_some());
        assert!(inside(&root, "absent").unwrap().is_none());
        assert!(inside(&root, "out").unwrap_err().to_string().contains("secret"));
    }
}
