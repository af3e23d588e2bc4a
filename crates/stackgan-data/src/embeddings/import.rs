//! Import of embeddings from a path to a file of embeddings.
//!
//! All sources are written through one [`Sink`], picture by picture in the order of the prepared
//! file. It checks counts, widths and values.

use super::arrays::{self, Opened};
use super::file::{About, Embeddings, EmbeddingsWriter, MAX_DIM, Source};
use super::maker::{Agreement, Comparison, Maker};
use super::pictures::{Joined, Pictures};
use super::{folder, listed, released};
use crate::error::printable;
use crate::formats::{ArrayView, read_bounded};
use crate::prepared::Prepared;
use crate::{Error, Result};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// Maximum length in bytes of a file that is read.
pub const MAX_FILE: u64 = 16 << 30;

/// How the fingerprint of an unknown encoder begins: a hash of the embeddings' sources follows.
pub const UNKNOWN: &str = "imported-";

/// What was imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Number of embeddings: one for each caption.
    pub rows: usize,
    /// Number of values of each embedding.
    pub dim: usize,
    /// A description of the source.
    pub form: &'static str,
    /// Number of entries of the source that belong to no picture of the dataset.
    pub unused: usize,
    /// How many vectors of the encoder that is said to have made them agree, if one is.
    pub agreement: Option<Agreement>,
}

/// The source and the destination of a dataset's embeddings.
pub(super) struct Task<'a> {
    pub(super) data: &'a Prepared,
    pub(super) out: &'a Path,
    pub(super) maker: Option<&'a Maker>,
    pub(super) progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// Creates the file of embeddings `out` for the captions of `data` from `path`:
///
/// - a folder of the release (`train/char-CNN-RNN-embeddings.pickle` and `test/`), or one such
///   pickle;
/// - a pickle of a dict with an array for each picture, by its key;
/// - a folder with a `.t7` or `.npy` for each picture or class;
/// - a `.npz` or safetensors file with an array for each picture, by its key;
/// - a `.t7` table: records with `img` and `txt`, arrays by key, or `raw_txt` with `fea_txt`;
/// - one array (`.npy`, `.npz`, safetensors, `.t7`, a pickle) with a list of captions or keys
///   beside it;
/// - a file of embeddings that this program wrote.
///
/// Arrays of a picture have the shape (captions, width). `out` is replaced only on success.
/// `progress` is called with the number of finished pictures and the total.
///
/// The encoder is recorded as unknown, by a hash of the sources. If `maker` is given and made the
/// embeddings, its fingerprint is recorded, so that the encoder can be used with the model that is
/// trained on them.
///
/// # Errors
/// Names the file and entry that does not match, and all pictures without embeddings. Also when the
/// embeddings are not those of `maker`.
pub fn import(
    path: &Path,
    data: &Prepared,
    out: &Path,
    maker: Option<&Maker>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Imported> {
    let task = Task { data, out, maker, progress };
    if path.is_dir() {
        return match released::of_folder(path)? {
            Some(pickles) => released::import(&pickles, &task),
            None => folder::import(path, &task),
        };
    }
    if !path.is_file() {
        return Err(Error::Missing {
            what: "there are no embeddings".to_owned(),
            file: path.to_path_buf(),
            expected: "a file or a folder of embeddings".to_owned(),
            remedy: "check the path".to_owned(),
        });
    }
    match extension(path).as_str() {
        "pickle" | "pkl" if released::has_names(path) => {
            released::import(&released::of_file(path), &task)
        }
        "safetensors" if Embeddings::open(path).is_ok() => own(path, &task),
        _ => one_file(path, &task),
    }
}

/// The extension of a name, in lower case.
pub(super) fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// The name of a file or folder, for the record.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| ".".to_owned(), |name| printable(&name.to_string_lossy()))
}

/// Imports a file that our own encoder or an earlier import wrote.
fn own(path: &Path, task: &Task<'_>) -> Result<Imported> {
    let found = Embeddings::open(path)?;
    found.check(task.data)?;
    let (rows, dim) = (found.len(), found.dim());
    let mut comparison = task.maker.map(|maker| Comparison::new(maker, dim, path)).transpose()?;
    let encoder = task.maker.map_or(found.encoder(), |maker| &maker.fingerprint);
    let (dataset, sources) = (found.dataset(), found.sources().to_vec());
    let about = About { rows, dim, encoder, dataset, sources, captions: None };
    let mut writer = Embeddings::create_about(task.out, &about)?;
    for i in 0..task.data.len() {
        let range = task.data.caption_range(i);
        let numbers = found.rows(range.clone())?;
        writer.append(&numbers)?;
        comparison.iter_mut().for_each(|comparison| comparison.see(range.start, &numbers));
        (task.progress)(i + 1, task.data.len());
    }
    let agreement = comparison.map(|comparison| comparison.end(path)).transpose()?;
    writer.finish()?;
    Ok(Imported { rows, dim, form: "a file of this program", unused: 0, agreement })
}

/// Imports one file of another format.
fn one_file(path: &Path, task: &Task<'_>) -> Result<Imported> {
    let bytes = read_bounded(path, MAX_FILE)?;
    let sha256 = hash(&bytes);
    let pictures = Pictures::of(task.data);
    arrays::opened(&bytes, path, &pictures, |opened| {
        let mut sink = Sink::new(task, vec![(file_name(path), 1)]);
        let (form, unused) = match &opened {
            Opened::Named(named) => {
                let entries = (0..named.len()).map(|at| (named.name(at), at));
                let Joined { of, unused } = pictures.join(path, entries)?;
                for &at in &of {
                    sink.push(&named.numbers(at)?)?;
                }
                ("arrays by name", unused)
            }
            Opened::Captions(captions, rows) => {
                listed::captions(task.data, path, captions)?;
                listed::push_rows(&mut sink, path, rows)?;
                ("captions with their embeddings", 0)
            }
            Opened::Bare(array) => listed::import(path, array, &pictures, &mut sink)?,
        };
        sink.finish(vec![sha256], form, unused)
    })
}

/// SHA-256 in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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

    fn rows_and_dim(&self) -> Option<(usize, usize)> {
        match *self.shape.as_slice() {
            [rows, dim] => Some((rows, dim)),
            [dim] => Some((1, dim)),
            _ => None,
        }
    }
}

/// Receives the embeddings of one picture after the other.
pub(super) struct Sink<'a> {
    task: &'a Task<'a>,
    sources: Vec<Source>,
    next: usize,
    open: Option<Open<'a>>,
}

/// The file of a sink, from the first embeddings on.
struct Open<'a> {
    writer: EmbeddingsWriter,
    dim: usize,
    /// Where the embeddings came from, for messages.
    from: Box<Path>,
    comparison: Option<Comparison<'a>>,
}

impl<'a> Open<'a> {
    fn new(task: &Task<'a>, sources: &[Source], dim: usize, from: &Path) -> Result<Self> {
        let comparison = task.maker.map(|maker| Comparison::new(maker, dim, from)).transpose()?;
        let about = About {
            rows: task.data.caption_count(),
            dim,
            encoder: &encoder(task, sources),
            dataset: task.data.fingerprint(),
            sources: sources.to_vec(),
            captions: None,
        };
        let writer = Embeddings::create_about(task.out, &about)?;
        Ok(Self { writer, dim, from: from.into(), comparison })
    }
}

impl<'a> Sink<'a> {
    /// For sources given by name and number of files.
    pub(super) fn new(task: &'a Task<'a>, sources: Vec<(String, usize)>) -> Self {
        let blank = |(name, files)| Source { name, files, sha256: "0".repeat(64) };
        Self { task, sources: sources.into_iter().map(blank).collect(), next: 0, open: None }
    }

    pub(super) fn data(&self) -> &'a Prepared {
        self.task.data
    }

    /// Writes the embeddings of the next picture.
    pub(super) fn push(&mut self, numbers: &Numbers) -> Result<()> {
        let (data, i) = (self.task.data, self.next);
        let dim = self.checked(numbers)?;
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open::new(self.task, &self.sources, dim, &numbers.file)?),
        };
        open.writer.append(&numbers.values)?;
        if let Some(comparison) = &mut open.comparison {
            comparison.see(data.caption_range(i).start, &numbers.values);
        }
        self.next += 1;
        (self.task.progress)(self.next, data.len());
        Ok(())
    }

    /// Checks the embeddings of the next picture. Returns their width.
    fn checked(&self, numbers: &Numbers) -> Result<usize> {
        let (data, i) = (self.task.data, self.next);
        let place = || format!("{}, {}", numbers.place, printable(data.key(i)));
        let captions = data.caption_range(i).len();
        let wanted = self.open.as_ref().map(|open| open.dim);
        let fits = numbers.rows_and_dim().filter(|&(rows, dim)| {
            let width = wanted.map_or((1..=MAX_DIM).contains(&dim), |wanted| wanted == dim);
            rows == captions && width && numbers.values.len() == rows * dim
        });
        let Some((_, dim)) = fits else {
            let width = wanted.map_or_else(|| "width".to_owned(), |dim| dim.to_string());
            let expected = format!("shape ({captions}, {width}), a row for each caption");
            let found = format!("shape {:?}", numbers.shape);
            return Err(no_fit(&numbers.file, &place(), (expected, found)));
        };
        match numbers.values.iter().enumerate().find(|(_, n)| !n.is_finite()) {
            None => Ok(dim),
            Some((at, number)) => {
                let found = format!("{number} in row {}", at / dim);
                Err(no_fit(&numbers.file, &place(), ("finite numbers", found)))
            }
        }
    }

    /// Finishes the file after all pictures, with the hashes of the sources.
    pub(super) fn finish(
        mut self,
        hashes: Vec<String>,
        form: &'static str,
        unused: usize,
    ) -> Result<Imported> {
        for (source, sha256) in self.sources.iter_mut().zip(hashes) {
            source.sha256 = sha256;
        }
        let Some(Open { writer, dim, from, comparison }) = self.open else {
            let pair = ("embeddings", "none");
            return Err(no_fit(self.task.data.path(), "whole file", pair));
        };
        let agreement = comparison.map(|comparison| comparison.end(&from)).transpose()?;
        writer.finish_as(encoder(self.task, &self.sources), self.sources)?;
        let rows = self.task.data.caption_count();
        Ok(Imported { rows, dim, form, unused, agreement })
    }
}

/// What is recorded as the encoder: the one that made the embeddings if it is known.
fn encoder(task: &Task<'_>, sources: &[Source]) -> String {
    task.maker.map_or_else(|| unknown_encoder(sources), |maker| maker.fingerprint.clone())
}

/// A substitute for the unknown encoder of imported embeddings: the hash of their sources.
pub(super) fn unknown_encoder(sources: &[Source]) -> String {
    let text: Vec<&str> = sources.iter().map(|source| &*source.sha256).collect();
    format!("{UNKNOWN}{}", hash(text.join(" ").as_bytes()))
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
