//! Captions with their embeddings that belong to no dataset, from other programs' files: to paint
//! from.
//!
//! Two forms: a Torch table of `raw_txt` and `fea_txt`, which the releases' demos read
//! (TensorFlow release, `demo/get_embedding.lua`; PyTorch release, `code/trainer.py`, `sample`), and one
//! array with a list of captions beside it. They are told from the beginning of the file, not from
//! its name: Torch's files of weights begin in the same way.

use super::arrays::{self, Format, Opened, unlike_captions};
use super::file::{About, Embeddings, MAX_DIM, fingerprint};
use super::listed::list_beside;
use super::maker::{Maker, encoder_of};
use super::sink::{Compared, Imported};
use super::source::{Source, extension, file_name};
use crate::captions::{MAX_CAPTION, clean};
use crate::container::says_kind;
use crate::counted;
use crate::digest::sha256;
use crate::formats::torch7::{self, Value};
use crate::formats::{ArrayView, npz, pickle, torch_pickle};
use crate::{Error, Result};
use std::path::Path;

/// Captions with their embeddings in a file of another program.
#[derive(Debug)]
pub struct Captioned<'a> {
    file: &'a Path,
    bytes: &'a [u8],
    captions: Vec<String>,
    rows: Rows<'a>,
    form: &'static str,
}

/// The embeddings of captions.
#[derive(Debug)]
enum Rows<'a> {
    /// The parts of an array.
    Parts(ArrayView<'a>),
    /// An array each.
    Each(Vec<ArrayView<'a>>),
}

impl<'a> Rows<'a> {
    fn get(&self, row: usize) -> Option<ArrayView<'a>> {
        match self {
            Self::Parts(array) => array.part(row),
            Self::Each(arrays) => arrays.get(row).cloned(),
        }
    }
}

/// Passes the captions and embeddings in `bytes` of `file` to `then`; `None` if the file holds
/// something else, such as weights.
///
/// # Errors
/// When the file is damaged or this program's own, its captions and embeddings do not fit, the list
/// of captions is missing, or the embeddings are those of a dataset's pictures.
pub fn captioned<T>(
    bytes: &[u8],
    file: &Path,
    then: impl FnOnce(&Captioned<'_>) -> T,
) -> Result<Option<T>> {
    let Some(format) = format(bytes, file)? else { return Ok(None) };
    arrays::opened_as(format, (bytes, file), &|_| false, |opened| {
        let (captions, rows, form) = match opened {
            Opened::Captions(captions, rows) => {
                (captions, Rows::Each(rows), "captions with their embeddings")
            }
            Opened::Bare(array) => {
                let captions = captions_beside(file, captions_of(&array, file)?)?;
                (captions, Rows::Parts(array), "an array with a list of captions")
            }
            // Several tensors by name are weights.
            Opened::Named(_) if format == Format::Safetensors => return Ok(None),
            Opened::Named(_) => return Err(of_pictures(file)),
        };
        if captions.is_empty() {
            return Err(unlike_captions(file, "whole file", ("captions", "none")));
        }
        if let Some(at) = captions.iter().position(|caption| caption.len() > MAX_CAPTION) {
            let found = format!("a longer one, caption {}", at + 1);
            let expected = format!("captions of at most {MAX_CAPTION} bytes");
            return Err(unlike_captions(file, "list of captions", (expected, found)));
        }
        Ok(Some(then(&Captioned { file, bytes, captions, rows, form })))
    })
}

impl Captioned<'_> {
    /// The captions, as they are in the file.
    #[must_use]
    pub fn captions(&self) -> &[String] {
        &self.captions
    }

    /// Writes a file of embeddings with their captions, in which control characters are escaped. If
    /// `maker` made the embeddings, its fingerprint is recorded.
    ///
    /// # Errors
    /// When the embeddings differ in width, are not finite or not those of `maker`. Then there is no
    /// file.
    pub fn write(&self, out: &Path, maker: Option<&Maker>) -> Result<Imported> {
        let dim = self.rows.get(0).map_or(0, |row| row.len());
        if !(1..=MAX_DIM).contains(&dim) {
            let pair = (format!("1 to {MAX_DIM} numbers"), counted(dim, "number"));
            return Err(unlike_captions(self.file, "row 0", pair));
        }
        let captions: Vec<String> =
            self.captions.iter().map(|caption| clean(caption.trim())).collect();
        let sources =
            &[Source { name: file_name(self.file), files: 1, sha256: sha256(self.bytes) }];
        let (encoder, dataset) = (&encoder_of(maker, sources), &fingerprint(&captions));
        let (rows, captions) = (captions.len(), Some(&*captions));
        let about = About { rows, dim, encoder, dataset, sources, captions };
        let mut file = Compared::create(out, about, maker, self.file)?;
        for r in 0..rows {
            file.append(&self.numbers(r, dim)?)?;
        }
        file.finish(self.form, 0)
    }

    /// The numbers of a row, checked.
    fn numbers(&self, r: usize, dim: usize) -> Result<Vec<f32>> {
        let place = format!("row {r}");
        let row = self.rows.get(r).filter(|row| row.len() == dim);
        let Some(row) = row else {
            let found = self.rows.get(r).map_or(0, |row| row.len());
            let pair = (format!("{dim} numbers as in the first"), counted(found, "number"));
            return Err(unlike_captions(self.file, &place, pair));
        };
        let values = row.to_f32();
        if let Some(number) = values.iter().find(|number| !number.is_finite()) {
            let pair = ("finite numbers", number.to_string());
            return Err(unlike_captions(self.file, &place, pair));
        }
        Ok(values)
    }
}

/// The format of a file that may hold captions with embeddings, by its beginning; `None` of weights.
fn format(bytes: &[u8], file: &Path) -> Result<Option<Format>> {
    let format = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Format::Npy,
        [0..=8, 0, 0, 0, ..] => {
            return Ok(captions_of_torch(bytes, file)?.then_some(Format::Torch7));
        }
        [_, _, _, _, _, _, 0, 0, b'{', ..] if says_kind(bytes, "embeddings") => {
            return Err(Embeddings::open(file).map_or_else(|damage| damage, |_| own(file)));
        }
        [_, _, _, _, _, _, 0, 0, b'{', ..] => Format::Safetensors,
        [b'P', b'K', ..] if is_npz(bytes, file) => Format::Npz,
        _ if torch_pickle::begins(bytes) => return Ok(None),
        [0x80, ..] => Format::Pickle,
        _ if matches!(&*extension(file), "pickle" | "pkl") => Format::Pickle,
        _ => return Ok(None),
    };
    if format == Format::Pickle
        && matches!(pickle::decode(bytes, file)?.root(), pickle::Value::List(_))
    {
        return Err(of_pictures(file)); // as the releases pickle them
    }
    Ok(Some(format))
}

/// Whether a file of Torch holds captions with embeddings, or one tensor.
fn captions_of_torch(bytes: &[u8], file: &Path) -> Result<bool> {
    Ok(match torch7::decode(bytes, file)?.root() {
        Value::Tensor(_) => true,
        Value::Table(table) => matches!(table.get("raw_txt"), Value::Table(_)),
        _ => false,
    })
}

/// Whether an archive is numpy's rather than PyTorch's.
fn is_npz(bytes: &[u8], file: &Path) -> bool {
    npz::decode(bytes, file).map_or(extension(file) == "npz", |npz| !npz.names().is_empty())
}

/// Number of captions of an array (captions, width) or (captions, 1, width).
fn captions_of(array: &ArrayView<'_>, file: &Path) -> Result<usize> {
    match *array.shape() {
        [n, _] | [n, 1, _] => Ok(n),
        ref other => {
            let found = format!("shape {other:?}");
            Err(unlike_captions(file, "the array", ("shape (captions, width)", found)))
        }
    }
}

/// The captions of `n` rows, from the list beside the file.
fn captions_beside(file: &Path, n: usize) -> Result<Vec<String>> {
    let missing = |list: &Path| {
        Error::missing(
            list,
            "an array needs a list of its captions",
            "the caption of each row, one a line",
            "write the list; the embeddings of a dataset's captions are imported for it: `stackgan data import \
             DIR --embeddings FILE`",
        )
    };
    let unfit = |list: &Path, lines: usize| {
        let expected = format!("{}, as {} has rows", counted(n, "line"), file.display());
        unlike_captions(list, "whole list", (expected, counted(lines, "line")))
    };
    Ok(list_beside(file, missing, &[n], unfit)?.1)
}

fn own(file: &Path) -> Error {
    let what = "embeddings are in this program's form already";
    let pair = ("a file of another program", "one that can be painted from as it is");
    let remedy = "paint from it: `stackgan generate -m MODEL --embeddings FILE`";
    Error::malformed(file, what, "metadata", pair, remedy)
}

fn of_pictures(file: &Path) -> Error {
    let pair = ("one array, or raw_txt and fea_txt", "several arrays, as of a dataset's pictures");
    let remedy = "import them for their dataset: `stackgan data import DIR --embeddings FILE`, then paint from its rows: \
                  `stackgan generate -m MODEL --data DIR --rows 0-7`";
    Error::malformed(file, "embeddings are without captions", "whole file", pair, remedy)
}
