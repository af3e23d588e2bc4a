//! One file of arrays in any supported format: arrays named after pictures, captions with their
//! arrays, or one unnamed array.

use super::pictures::Pictures;
use super::released;
use super::source::{Numbers, extension};
use crate::counted;
use crate::error::printable;
use crate::formats::torch7::{self, Table, Value};
use crate::formats::{ArrayView, DType, Kind, Layout, npy, npz, pickle};
use crate::{Error, Result};
use std::path::Path;

/// The contents of a file.
pub(super) enum Opened<'a> {
    /// Arrays (captions, width) by name.
    Named(Named<'a>),
    /// Captions, with an array of `width` numbers for each.
    Captions(Vec<String>, Vec<ArrayView<'a>>),
    /// One unnamed array.
    Bare(ArrayView<'a>),
}

/// Arrays by name.
pub(super) struct Named<'a> {
    file: &'a Path,
    names: Vec<String>,
    arrays: Arrays<'a>,
}

enum Arrays<'a> {
    Views(Vec<ArrayView<'a>>),
    /// Decoded on request, because they may be compressed.
    Archive(&'a npz::Npz<'a>),
}

impl Named<'_> {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of entry `at`; empty beyond the end.
    pub(super) fn name(&self, at: usize) -> String {
        self.names.get(at).cloned().unwrap_or_default()
    }

    /// The numbers of entry `at`.
    pub(super) fn numbers(&self, at: usize) -> Result<Numbers> {
        let name = self.name(at);
        let place = format!("array {}", printable(&name));
        match &self.arrays {
            Arrays::Views(views) => match views.get(at) {
                Some(view) => Ok(Numbers::of(view, self.file, place)),
                None => {
                    let (shape, values) = (Vec::new(), Vec::new());
                    Ok(Numbers { shape, values, file: self.file.into(), place })
                }
            },
            Arrays::Archive(archive) => {
                let member = archive.member(&name)?;
                Ok(Numbers::of(&npy::decode(&member, self.file)?, self.file, place))
            }
        }
    }
}

/// The formats of files of arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Npy,
    Npz,
    Safetensors,
    Pickle,
    Torch7,
}

impl Format {
    /// The format that a file has by its name.
    fn by_name(file: &Path) -> Result<Self> {
        match extension(file).as_str() {
            "npy" => Ok(Self::Npy),
            "npz" => Ok(Self::Npz),
            "safetensors" => Ok(Self::Safetensors),
            "pickle" | "pkl" => Ok(Self::Pickle),
            "t7" => Ok(Self::Torch7),
            other => Err(Error::malformed(
                file,
                "file of embeddings is of no known format",
                "its extension",
                (".t7, .npy, .npz, .safetensors, .pickle or .pkl", printable(&format!(".{other}"))),
                "save the embeddings in one of these formats",
            )),
        }
    }
}

/// Opens `bytes` of `file`, by its extension, and passes the contents to `then`.
pub(super) fn opened<T>(
    bytes: &[u8],
    file: &Path,
    pictures: &Pictures<'_>,
    then: impl FnOnce(Opened<'_>) -> Result<T>,
) -> Result<T> {
    let named = |name: &str| pictures.find(name).is_some();
    opened_as(Format::by_name(file)?, (bytes, file), &named, then)
}

/// As [`opened`], of a known format. `named` says whether a name is that of a picture: an array
/// alone under another name is without one.
pub(super) fn opened_as<T>(
    format: Format,
    (bytes, file): (&[u8], &Path),
    named: &dyn Fn(&str) -> bool,
    then: impl FnOnce(Opened<'_>) -> Result<T>,
) -> Result<T> {
    match format {
        Format::Npy => then(Opened::Bare(npy::decode(bytes, file)?)),
        Format::Npz => {
            let archive = npz::decode(bytes, file)?;
            let names = archive.names();
            match names.as_slice() {
                [only] if !named(only) => {
                    let member = archive.member(only)?;
                    then(Opened::Bare(npy::decode(&member, file)?))
                }
                _ => then(Opened::Named(Named { file, names, arrays: Arrays::Archive(&archive) })),
            }
        }
        Format::Safetensors => then(by_name(safetensors(bytes, file)?, file, named)),
        Format::Pickle => {
            let document = pickle::decode(bytes, file)?;
            let arrays = document.named_arrays(file)?;
            match (document.array(), arrays) {
                (Some(array), _) => then(Opened::Bare(array)),
                (None, Some(arrays)) => then(by_name(arrays, file, named)),
                (None, None) => Err(released::without_names(file)),
            }
        }
        Format::Torch7 => {
            let document = torch7::decode(bytes, file)?;
            match document.root() {
                Value::Tensor(tensor) => then(Opened::Bare(tensor.clone())),
                _ => then(torch(document.table()?, file)?),
            }
        }
    }
}

/// Arrays with names; one alone that is of no picture is an array without.
fn by_name<'a>(
    (names, views): (Vec<String>, Vec<ArrayView<'a>>),
    file: &'a Path,
    named: &dyn Fn(&str) -> bool,
) -> Opened<'a> {
    match (names.as_slice(), views.as_slice()) {
        ([name], [view]) if !named(name) => Opened::Bare(view.clone()),
        _ => Opened::Named(Named { file, names, arrays: Arrays::Views(views) }),
    }
}

/// A table of Lua Torch: records of pictures, tensors by name, or the demo's captions.
///
/// Source: reedscot/icml2016, `donkey_folder_*.lua` (records); TensorFlow release,
/// `demo/get_embedding.lua`.
fn torch<'d>(table: Table<'d>, file: &'d Path) -> Result<Opened<'d>> {
    if let Value::Table(texts) = table.get("raw_txt") {
        let Value::Table(features) = table.get("fea_txt") else {
            return Err(table.wrong("fea_txt", "a list of tensors", table.get("fea_txt")));
        };
        return captions(texts, features, file);
    }
    let named =
        |names, views| Ok(Opened::Named(Named { file, names, arrays: Arrays::Views(views) }));
    if let Value::Tensor(tensor) = table.get("txt") {
        return named(vec![table.text("img")?.to_owned()], vec![tensor.clone()]);
    }
    let (mut names, mut views) = (Vec::new(), Vec::new());
    for (key, value) in table.pairs() {
        let name = match key {
            Value::String(name) => Some(String::from_utf8_lossy(name).into_owned()),
            _ => None,
        };
        match (name, value) {
            (Some(name), Value::Tensor(tensor)) => {
                names.push(name);
                views.push(tensor.clone());
            }
            (name, Value::Table(record)) => {
                views.push(record.tensor("txt")?.clone());
                names.push(name.map_or_else(|| record.text("img").map(str::to_owned), Ok)?);
            }
            (name, other) => {
                let key = name.unwrap_or_else(|| "number".to_owned());
                return Err(table.wrong(&key, "a tensor, or a record of img and txt", other));
            }
        }
    }
    named(names, views)
}

/// Opens the demo's form: a list of captions, and a list of tensors (1, width) or (captions, width)
/// in the same order.
fn captions<'d>(texts: Table<'d>, features: Table<'d>, file: &Path) -> Result<Opened<'d>> {
    let mut captions = Vec::new();
    for (i, text) in texts.list().enumerate() {
        let Value::String(text) = text else {
            return Err(texts.wrong(&format!("raw_txt[{}]", i + 1), "a string", text));
        };
        captions.push(String::from_utf8_lossy(text).into_owned());
    }
    let (mut rows, mut n) = (Vec::new(), 0usize);
    for (i, tensor) in features.list().enumerate() {
        let Value::Tensor(tensor) = tensor else {
            return Err(features.wrong(&format!("fea_txt[{}]", i + 1), "a tensor", tensor));
        };
        match tensor.shape.len() {
            1 => {
                n += 1;
                rows.push(tensor.clone());
            }
            _ => {
                // No more than there are captions: a view takes more memory than a short row.
                let of_this = tensor.shape.first().copied().unwrap_or(0);
                n = n.saturating_add(of_this);
                let room = captions.len().saturating_sub(rows.len());
                rows.extend((0..of_this.min(room)).filter_map(|r| tensor.part(r)));
            }
        }
    }
    if captions.len() == n && captions.len() == rows.len() {
        return Ok(Opened::Captions(captions, rows));
    }
    let wanted = counted(captions.len(), "row");
    let pair = (format!("{wanted} in fea_txt, one for each of raw_txt"), counted(n, "row"));
    Err(unlike_captions(file, "raw_txt and fea_txt", pair))
}

/// The error for embeddings and captions that do not fit.
pub(super) fn unlike_captions(
    file: &Path,
    place: &str,
    pair: (impl Into<Box<str>>, impl Into<Box<str>>),
) -> Error {
    let remedy = "save one row of numbers for each caption, in the order of the captions";
    Error::malformed(file, "embeddings do not fit their captions", place, pair, remedy)
}

/// The tensors of a safetensors file, by name.
fn safetensors<'a>(bytes: &'a [u8], file: &Path) -> Result<(Vec<String>, Vec<ArrayView<'a>>)> {
    let refuse = |place: &str, expected: &str, found: String| {
        let what = "safetensors file cannot be used";
        let remedy = "save the embeddings as float32 tensors, whole";
        Error::malformed(file, what, place, (expected, found), remedy)
    };
    let read = ::safetensors::SafeTensors::deserialize(bytes)
        .map_err(|e| refuse("header", "a whole safetensors file", printable(&e.to_string())))?;
    let mut tensors = read.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let (mut names, mut views) = (Vec::new(), Vec::new());
    for (name, tensor) in tensors {
        use ::safetensors::Dtype as D;
        let place = format!("tensor {}", printable(&name));
        let size = match tensor.dtype() {
            D::F16 => 2,
            D::F32 => 4,
            D::F64 => 8,
            other => return Err(refuse(&place, "F16, F32 or F64", format!("{other:?}"))),
        };
        let (dtype, shape) = (DType::little(Kind::Float, size), tensor.shape().to_vec());
        let view = ArrayView::new(dtype, shape, Layout::RowMajor, tensor.data());
        views.push(view.ok_or_else(|| {
            refuse(&place, "as many bytes as its shape says", "others".to_owned())
        })?);
        names.push(name);
    }
    Ok((names, views))
}
