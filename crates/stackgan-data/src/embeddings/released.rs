//! Import of the release's `char-CNN-RNN-embeddings.pickle` files of the training and test splits.
//!
//! Each is a list of (captions, width) arrays in the order of the `filenames.pickle` beside it, by
//! which they are joined. Source: TensorFlow release, `misc/datasets.py`.

use super::pictures::{Joined, Pictures};
use super::sink::{Imported, Sink, Task};
use super::source::{Numbers, file_name, no_fit};
use crate::dataset::Split;
use crate::digest::sha256;
use crate::error::{counted, first_few, printable};
use crate::formats::{ArrayView, MAX_FILE, pickle, read_bounded};
use crate::layouts::names;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The file names that the releases read.
const NAMES: [&str; 3] = [
    "char-CNN-RNN-embeddings.pickle",
    "char-CNN-GRU-embeddings.pickle",
    "skip-thought-embeddings.pickle",
];

/// The pickles of a folder with `train` and `test`, or of one such folder; `None` if it has no
/// pickle of a known name.
///
/// # Errors
/// When there are pickles of several encoders.
pub(super) fn of_folder(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let splits = Split::ALL.map(|split| folder.join(split.name()));
    let places = || splits.iter().map(PathBuf::as_path).chain([folder]);
    let found: Vec<&str> =
        NAMES.into_iter().filter(|name| places().any(|place| place.join(name).is_file())).collect();
    match *found.as_slice() {
        [] => Ok(None),
        [name] => {
            let files = places().map(|place| place.join(name)).filter(|file| file.is_file());
            Ok(Some(files.collect()))
        }
        _ => Err(Error::config(
            "folder has embeddings of several encoders",
            ("one of them", first_few(&found)),
            "name the file: `--embeddings DIR/train/NAME.pickle`",
        )),
    }
}

/// A pickle, and the one of the other split beside it.
pub(super) fn of_file(file: &Path) -> Vec<PathBuf> {
    let other = || {
        let folder = file.parent()?;
        let name = folder.file_name()?.to_str()?;
        let split = Split::ALL.into_iter().find(|split| split.name() == name)?;
        let other = if split == Split::Train { Split::Test } else { Split::Train };
        Some(folder.with_file_name(other.name()).join(file.file_name()?))
    };
    let other = other().filter(|other| other.is_file());
    std::iter::once(file.to_path_buf()).chain(other).collect()
}

/// Whether the list by which the release's pickles are joined lies beside.
pub(super) fn has_names(file: &Path) -> bool {
    list_of(file).is_file()
}

fn list_of(file: &Path) -> PathBuf {
    file.with_file_name("filenames.pickle")
}

/// The error of a pickle that lists arrays without their names.
pub(super) fn without_names(file: &Path) -> Error {
    Error::missing(
        &list_of(file),
        "list of the embeddings' pictures is missing",
        "the names of the pictures, in the order of the embeddings",
        "put the filenames.pickle of the same archive beside the embeddings; or pickle a dict of arrays by the names of pictures",
    )
}

pub(super) fn import(files: &[PathBuf], task: &Task<'_>) -> Result<Imported> {
    let pictures = Pictures::of(task.data);
    let read = |file: &PathBuf| read_bounded(file, MAX_FILE);
    let bytes: Vec<Vec<u8>> = files.iter().map(read).collect::<Result<_>>()?;
    let hashes = bytes.iter().map(sha256).collect();
    let documents: Vec<_> = bytes
        .iter()
        .zip(files)
        .map(|(bytes, file)| pickle::decode(bytes, file))
        .collect::<Result<_>>()?;
    let (mut entries, mut arrays) = (Vec::new(), Vec::new());
    for (at, (document, file)) in documents.iter().zip(files).enumerate() {
        let (names, of_file) = match document.named_arrays(file)? {
            Some(named) => named, // somebody's own beside the release's lists
            None => listed(document, file)?,
        };
        entries.extend(names.into_iter().enumerate().map(|(entry, name)| (name, (at, entry))));
        arrays.push(of_file);
    }
    let first = files.first().map_or(Path::new(""), PathBuf::as_path);
    let Joined { of, unused } = pictures.join(first, entries.into_iter())?;
    let sources = files.iter().map(|file| (in_its_folder(file), 1)).collect();
    let mut sink = Sink::new(task, sources);
    for (at, entry) in of {
        let array = arrays.get(at).and_then(|arrays| arrays.get(entry));
        if let (Some(array), Some(file)) = (array, files.get(at)) {
            sink.push(&Numbers::of(array, file, format!("array {entry}")))?;
        }
    }
    sink.finish(hashes, "the release's pickles", unused)
}

/// The names and arrays of a list.
fn listed<'d>(
    document: &'d pickle::Document<'_>,
    file: &Path,
) -> Result<(Vec<String>, Vec<ArrayView<'d>>)> {
    let list = list_of(file);
    if !list.is_file() {
        return Err(without_names(file));
    }
    let (names, arrays) = (names(&list)?, document.arrays(file)?);
    if names.len() != arrays.len() {
        let expected = format!("{} arrays as {} has names", names.len(), list.display());
        let found = counted(arrays.len(), "array");
        return Err(no_fit(file, "whole list", (expected, found)));
    }
    Ok((names, arrays))
}

/// `train/NAME.pickle`, because the files of both splits have the same names.
fn in_its_folder(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).map(|name| format!("{}/", name.display()));
    format!("{}{}", printable(&folder.unwrap_or_default()), file_name(file))
}
