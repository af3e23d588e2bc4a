//! A decoded pickle seen as what the `StackGAN` files hold: a list of strings (`filenames`), of integers
//! (`class_info`), or of arrays (embeddings, images).

use super::value::{Array, Document, NodeId, Value};
use crate::formats::DType;
use crate::{Error, Result};
use std::path::Path;

/// One array of a document: a whole numpy array, or one slice along the first axis of a larger one.
#[derive(Clone, Debug)]
pub struct ArrayView<'d> {
    /// Element type and byte order.
    pub dtype: DType,
    /// Extent of each dimension.
    pub shape: Vec<usize>,
    fortran: bool,
    /// Elements between neighbours along the first axis of a column-major parent, and this view's place there.
    stride: usize,
    offset: usize,
    bytes: &'d [u8],
}

impl ArrayView<'_> {
    /// Elements of the array.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the array has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in row-major order as f32, whatever they are stored as.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        let size = self.dtype.bytes();
        let element = |i: usize| {
            let start = (self.offset + i * self.stride) * size;
            let raw = self.bytes.get(start..start + size).unwrap_or_default();
            self.dtype.float(raw).unwrap_or_default() as f32
        };
        if !self.fortran {
            return (0..self.len()).map(element).collect();
        }
        let mut out = Vec::with_capacity(self.len());
        let mut index = vec![0usize; self.shape.len()];
        for _ in 0..self.len() {
            // The last index runs fastest in the result, the first in the file.
            let place = index.iter().zip(&self.shape).rev().fold(0, |at, (&i, &n)| at * n + i);
            out.push(element(place));
            for (i, &n) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < n {
                    break;
                }
                *i = 0;
            }
        }
        out
    }
}

impl Document<'_> {
    /// The root as a list of strings. Byte strings are taken as Latin-1.
    ///
    /// # Errors
    /// When the root is no list, or an entry no string; `file` is named.
    pub fn strings(&self, file: &Path) -> Result<Vec<String>> {
        let entry = |(i, &id): (usize, &NodeId)| match self.get(id) {
            Value::Text(text) => Ok(text.to_string()),
            Value::Bytes(bytes) => Ok(bytes.iter().map(|&b| b as char).collect()),
            other => Err(wrong_entry(file, i, "a string", other)),
        };
        self.items(file)?.iter().enumerate().map(entry).collect()
    }

    /// The root as a list of whole numbers: Python's, numpy's scalars, or one numpy array.
    ///
    /// # Errors
    /// When the root or an entry is anything else; `file` is named.
    pub fn ints(&self, file: &Path) -> Result<Vec<i64>> {
        if let Value::Array(array) = self.root() {
            let raw = self.bytes(array).chunks_exact(array.dtype.bytes());
            let entry = |(i, raw)| {
                let number = array.dtype.int(raw);
                number.ok_or_else(|| wrong_entry(file, i, "an integer", self.root()))
            };
            return raw.enumerate().map(entry).collect();
        }
        let entry = |(i, &id): (usize, &NodeId)| match self.get(id) {
            Value::Int(number) => Ok(*number),
            value @ Value::Scalar(dtype, raw) => raw
                .get(..dtype.bytes())
                .and_then(|raw| dtype.int(raw))
                .ok_or_else(|| wrong_entry(file, i, "an integer", value)),
            other => Err(wrong_entry(file, i, "an integer", other)),
        };
        self.items(file)?.iter().enumerate().map(entry).collect()
    }

    /// The root as a list of arrays: a list of numpy arrays, or one array cut along its first axis.
    ///
    /// # Errors
    /// When the root or an entry is anything else; `file` is named.
    pub fn arrays(&self, file: &Path) -> Result<Vec<ArrayView<'_>>> {
        if let Value::Array(array) = self.root() {
            let Some((&n, shape)) = array.shape.split_first() else {
                return Err(wrong_entry(file, 0, "an array of arrays", self.root()));
            };
            let inner: usize = shape.iter().product();
            // An extent of zero makes an empty array with any first extent: nothing to cut.
            let n = if inner == 0 { 0 } else { n };
            let view = |i| ArrayView {
                dtype: array.dtype,
                shape: shape.to_vec(),
                fortran: array.fortran,
                stride: if array.fortran { n } else { 1 },
                offset: if array.fortran { i } else { i * inner },
                bytes: self.bytes(array),
            };
            return Ok((0..n).map(view).collect());
        }
        let entry = |(i, &id): (usize, &NodeId)| match self.get(id) {
            Value::Array(array) => Ok(ArrayView {
                dtype: array.dtype,
                shape: array.shape.clone(),
                fortran: array.fortran,
                stride: 1,
                offset: 0,
                bytes: self.bytes(array),
            }),
            other => Err(wrong_entry(file, i, "a numpy array", other)),
        };
        self.items(file)?.iter().enumerate().map(entry).collect()
    }

    fn bytes(&self, array: &Array) -> &[u8] {
        match self.get(array.data) {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    fn items(&self, file: &Path) -> Result<&[NodeId]> {
        match self.root() {
            Value::List(items) | Value::Tuple(items) => Ok(items),
            other => Err(Error::malformed(
                file,
                "pickle holds another kind of data",
                "the whole pickle",
                ("a list", other.kind()),
                "check that this is the right file",
            )),
        }
    }
}

fn wrong_entry(file: &Path, i: usize, expected: &str, found: &Value<'_>) -> Error {
    Error::malformed(
        file,
        "pickle holds another kind of data",
        format!("entry {i}"),
        (expected, found.kind()),
        "check that this is the right file",
    )
}
