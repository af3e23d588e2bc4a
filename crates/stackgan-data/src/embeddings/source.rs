//! Sources of embeddings: what is recorded of them, the numbers that are read from them, and the
//! error of one that does not fit the dataset.

use crate::Error;
use crate::error::printable;
use crate::formats::ArrayView;
use std::path::Path;

/// How the fingerprint of an unknown encoder begins: a hash of the embeddings' sources follows.
pub const UNKNOWN: &str = "imported-";

/// A file, or a folder of files, that embeddings were imported from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Source {
    /// Its name without the parent folders.
    pub name: String,
    /// Number of files: 1, or the number of files in a folder.
    pub files: usize,
    /// SHA-256 of the file in hexadecimal. For a folder: of the names and SHA-256 of its files, in
    /// their order.
    pub sha256: String,
}

/// The name of a file or folder, for the record.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| ".".to_owned(), |name| printable(&name.to_string_lossy()))
}

/// The extension of a name, in lower case.
pub(super) fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// The embeddings of one picture as stored in a source.
pub(super) struct Numbers {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
    pub(super) file: Box<Path>,
    /// The place in the file.
    pub(super) place: String,
}

impl Numbers {
    /// From an array (captions, width), or (width) for a picture with one caption, or (1, captions,
    /// width). Of an array with more dimensions only the shape is kept, for the error message.
    pub(super) fn of(array: &ArrayView<'_>, file: &Path, place: String) -> Self {
        let mut shape = array.shape.as_slice();
        while let [1, rest @ ..] = shape
            && rest.len() > 1
        {
            shape = rest;
        }
        let fits = matches!(shape.len(), 1 | 2) && array.len() <= 1 << 28;
        let values = if fits { array.to_f32() } else { Vec::new() };
        Self { shape: shape.to_vec(), values, file: file.into(), place }
    }

    pub(super) fn rows_and_dim(&self) -> Option<(usize, usize)> {
        match *self.shape.as_slice() {
            [rows, dim] => Some((rows, dim)),
            [dim] => Some((1, dim)),
            _ => None,
        }
    }
}

/// The error for embeddings that do not match the dataset.
pub(super) fn no_fit(
    file: &Path,
    place: &str,
    (expected, found): (impl Into<Box<str>>, impl Into<Box<str>>),
) -> Error {
    let remedy = "take embeddings, captions and names of pictures from one set; or make our own with `stackgan text \
                  train` and `text encode`";
    Error::malformed(file, "embeddings do not fit the dataset", place, (expected, found), remedy)
}
