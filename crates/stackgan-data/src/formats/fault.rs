//! What is wrong at a byte of a file; the file's name is added where it is known.

use crate::Error;
use std::path::Path;

/// Four parts of an error without the file and the remedy.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) what: &'static str,
    pub(crate) expected: String,
    pub(crate) found: String,
}

pub(crate) type Step<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(
        offset: usize,
        what: &'static str,
        (expected, found): (impl Into<String>, impl Into<String>),
    ) -> Self {
        Self { offset, what, expected: expected.into(), found: found.into() }
    }

    /// For what would take more memory than a file of its size may.
    pub(crate) fn too_large(offset: usize) -> Self {
        Self::new(
            offset,
            "file expands too much",
            ("contents of about the size of the file", "more than twice the file and 16 MiB"),
        )
    }

    /// The whole error, for a file of `length` bytes.
    pub(crate) fn in_file(self, file: &Path, length: usize, remedy: &str) -> Error {
        let place = format!("byte {} of {length}", self.offset);
        Error::malformed(file, self.what, place, (self.expected, self.found), remedy)
    }
}
