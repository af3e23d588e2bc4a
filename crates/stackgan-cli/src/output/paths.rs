//! Paths and the names in them, as text.

use std::path::{Path, PathBuf};

/// A path as an argument of a command that is typed: in quotation marks if a shell would divide or
/// change it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain =
        |c: char| c.is_alphanumeric() || "/._-+=:@%,~".contains(c) || (cfg!(windows) && c == '\\');
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false if cfg!(windows) => format!("\"{text}\""), // for cmd and PowerShell
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Returns a path as text for JSON, with invalid UTF-8 replaced. `json!` panics at such a path.
pub(crate) fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A path that means the same from any folder; as it is, if the current folder is gone.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
