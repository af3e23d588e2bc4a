//! The answer of a command whose result is files.

use std::path::Path;

use serde::Serialize;

use super::form::Answer;
use super::paths::path_text;

/// Files, or folders, that were written.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    files: Vec<String>,
}

impl Written {
    /// These files.
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        Self { files: files.into_iter().map(path_text).collect() }
    }
}

impl Answer for Written {
    fn lines(&self) -> Vec<String> {
        self.files.clone()
    }
}
