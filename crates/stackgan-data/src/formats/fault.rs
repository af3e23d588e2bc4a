//! An error at a byte of a file; the file's name is added later.

use crate::Error;
use std::path::Path;

/// The parts of an error, without the file and the remedy.
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

    /// The fault of an object that needs more memory than the size of the file allows.
    pub(crate) fn too_large(offset: usize) -> Self {
        Self::new(
            offset,
            "file expands too much",
            ("contents of about the size of the file", "more than twice the file and 16 MiB"),
        )
    }

    /// The complete error, for a file of `length` bytes.
    pub(crate) fn in_file(self, file: &Path, length: usize, remedy: &str) -> Error {
        let place = format!("byte {} of {length}", self.offset);
        Error::malformed(file, self.what, place, (self.expected, self.found), remedy)
    }
}
