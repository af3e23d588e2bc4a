//! Import of a folder with a file for each picture (Reed's records) or for each class.
//!
//! A file holds several named arrays, or one array (pictures, captions, width) with the list of
//! their names beside it. Files are read one at a time.

use super::arrays::{self, Opened};
use super::listed;
use super::pictures::{Joined, Pictures};
use super::sink::{Imported, Sink, Task};
use super::source::{Numbers, extension, file_name, no_fit};
use crate::digest::sha256;
use crate::error::printable;
use crate::formats::{MAX_FILE, read_bounded};
use crate::layouts::files;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The embeddings of one picture in one file.
#[derive(Clone)]
struct Entry {
    /// Index of the file.
    file: usize,
    /// Index among the file's arrays.
    at: usize,
}

/// The files of a supported format under `folder`, by their names.
///
/// # Errors
/// If there are none.
pub(super) fn sources(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let found: Vec<(String, PathBuf)> = files(folder)?
        .into_iter()
        .filter(|(_, path)| matches!(&*extension(path), "t7" | "npy" | "npz" | "safetensors"))
        .collect();
    if found.is_empty() {
        return Err(Error::missing(
            folder,
            "folder has no embeddings",
            "train/char-CNN-RNN-embeddings.pickle, or a .t7, .npy or .npz for each picture or class",
            "name the folder or file of the embeddings",
        ));
    }
    Ok(found)
}

/// Imports every file of a supported format under `folder`.
pub(super) fn import(folder: &Path, task: &Task<'_>) -> Result<Imported> {
    let pictures = Pictures::of(task.data);
    let found = sources(folder)?;
    let (mut entries, mut hashes) = (Vec::new(), Vec::new());
    for (file, (name, path)) in found.iter().enumerate() {
        let bytes = read_bounded(path, MAX_FILE)?;
        let own = named_by(name, &pictures);
        let names = names(&bytes, path, own, &pictures)?;
        entries.extend(names.into_iter().enumerate().map(|(at, name)| (name, Entry { file, at })));
        hashes.push(format!("{} {name} {}", name.len(), sha256(&bytes)));
    }
    let Joined { of, unused } = pictures.join(folder, entries.into_iter())?;
    let mut sink = Sink::new(task, vec![(file_name(folder), found.len())]);
    for of_one in of.chunk_by(|a, b| a.file == b.file) {
        let Some((name, path)) = of_one.first().and_then(|entry| found.get(entry.file)) else {
            continue;
        };
        let bytes = read_bounded(path, MAX_FILE)?;
        arrays::opened(&bytes, path, &pictures, |opened| {
            of_one.iter().try_for_each(|&Entry { at, .. }| match &opened {
                Opened::Named(named) => sink.push(&named.numbers(at)?),
                Opened::Bare(array) => {
                    // A picture's own file belongs to it completely: a wrong shape is rejected.
                    let own = named_by(name, &pictures).is_some();
                    let part = array.part(at).filter(|_| !own && array.shape.len() > 2);
                    let array = part.as_ref().unwrap_or(array);
                    sink.push(&Numbers::of(array, path, format!("entry {at}")))
                }
                Opened::Captions(..) => Err(captions_here(path)),
            })
        })?;
    }
    sink.finish(vec![sha256(hashes.join("\n"))], "a folder of files", unused)
}

/// The picture that a file is named after: `001.Class/Name.t7`, or `Name.t7`.
fn named_by(name: &str, pictures: &Pictures<'_>) -> Option<usize> {
    pictures.find(name.rsplit_once('.')?.0)
}

/// The names of the arrays of a file. A file that is named after a picture holds that picture's
/// embeddings.
fn names(
    bytes: &[u8],
    path: &Path,
    own: Option<usize>,
    pictures: &Pictures<'_>,
) -> Result<Vec<String>> {
    let of_file = || path.with_extension("").to_string_lossy().into_owned();
    arrays::opened(bytes, path, pictures, |opened| match (opened, own) {
        (Opened::Named(named), Some(own)) if named.len() == 1 => {
            let said = named.name(0);
            if pictures.find(&said).is_some_and(|said| said != own) {
                let pair = ("the picture that the file is named after", printable(&said));
                return Err(no_fit(path, "its record", pair));
            }
            Ok(vec![pictures.key(own).to_owned()])
        }
        (Opened::Named(named), _) => Ok((0..named.len()).map(|at| named.name(at)).collect()),
        (Opened::Bare(_), Some(own)) => Ok(vec![pictures.key(own).to_owned()]),
        (Opened::Bare(array), None) if array.shape.len() > 2 => {
            listed::names_beside(path, array.shape.first().copied().unwrap_or(0))
        }
        (Opened::Bare(_), None) => Ok(vec![of_file()]), // of a picture that is not in the dataset
        (Opened::Captions(..), _) => Err(captions_here(path)),
    })
}

fn captions_here(path: &Path) -> Error {
    let found = "captions with their embeddings: import this file alone";
    no_fit(path, "whole file", ("arrays of pictures", found))
}
