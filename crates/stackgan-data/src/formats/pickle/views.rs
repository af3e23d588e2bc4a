//! Views of a decoded pickle as the contents of `StackGAN`'s files: a list of strings
//! (`filenames`), of integers (`class_info`), or of arrays (embeddings, images); and as a dict of
//! arrays by name, as others save embeddings.

use super::document::Document;
use super::operands::{AS_ARRAYS, TOO_LARGE, decoded, decoded_size};
use super::value::{Array, NodeId, Value};
use crate::error::printable;
use crate::formats::ArrayView;
use crate::formats::array::Layout;
use crate::formats::budget::Budget;
use crate::{Error, Result};
use std::path::Path;

impl Document<'_> {
    /// The root as a list of strings. Byte strings are decoded as Latin-1.
    ///
    /// # Errors
    /// When the root is not a list, an entry is not a string, or the strings together are far
    /// longer than the file (they may share one long string); names `file`.
    pub fn strings(&self, file: &Path) -> Result<Vec<String>> {
        let items = self.items(file)?;
        let mut room = Room::of(self, file);
        room.book(items.len(), size_of::<String>())?;
        let mut strings = Vec::with_capacity(items.len());
        for (i, &id) in items.iter().enumerate() {
            strings.push(self.string(id, &mut room)?.ok_or_else(|| {
                let expected = match self.get(id) {
                    Value::RawText(_) => "text in raw-unicode-escape",
                    _ => "a string",
                };
                wrong_entry(file, i, expected, self.get(id))
            })?);
        }
        Ok(strings)
    }

    /// The string at `id`, if it is one.
    fn string(&self, id: NodeId, room: &mut Room<'_>) -> Result<Option<String>> {
        Ok(match self.get(id) {
            Value::Text(text) => {
                room.book(1, text.len())?;
                Some(text.to_string())
            }
            Value::RawText(line) => match decoded_size(line) {
                None => None,
                Some(size) => {
                    room.book(1, size)?;
                    Some(decoded(line, size))
                }
            },
            Value::Bytes(bytes) => {
                let beyond_ascii = bytes.iter().filter(|byte| !byte.is_ascii()).count();
                room.book(1, bytes.len() + beyond_ascii)?;
                let mut text = String::with_capacity(bytes.len() + beyond_ascii);
                text.extend(bytes.iter().map(|&byte| char::from(byte)));
                Some(text)
            }
            _ => None,
        })
    }

    /// The root as a dict of arrays by name, in the order of the file; `None` where it is no dict.
    ///
    /// # Errors
    /// When a key is no string or what it names no array; `file` and the key are named.
    pub fn named_arrays(&self, file: &Path) -> Result<Option<(Vec<String>, Vec<ArrayView<'_>>)>> {
        let Value::Dict(pairs) = self.root() else { return Ok(None) };
        let mut room = Room::of(self, file);
        room.book(pairs.len(), size_of::<String>() + VIEW)?;
        let mut names = Vec::with_capacity(pairs.len());
        let mut views = Vec::with_capacity(pairs.len());
        for &(key, value) in pairs {
            let name = self.string(key, &mut room)?.ok_or_else(|| {
                let place = format!("key {} of the dict", names.len());
                wrong(file, place, "the name of a picture", self.get(key), AS_DICT)
            })?;
            let view = self.array_at(value, &mut room)?;
            views.push(view.ok_or_else(|| {
                let place = format!("entry `{}` of the dict", printable(&name));
                wrong(file, place, "a numpy array", self.get(value), AS_DICT)
            })?);
            names.push(name);
        }
        Ok(Some((names, views)))
    }

    /// The root as one array, if it is one.
    #[must_use]
    pub fn array(&self) -> Option<ArrayView<'_>> {
        match self.root() {
            Value::Array(array) => self.view(array),
            _ => None,
        }
    }

    /// The root as a list of integers: Python's, numpy scalars, or one numpy array.
    ///
    /// # Errors
    /// When the root or an entry is anything else; names `file`.
    pub fn ints(&self, file: &Path) -> Result<Vec<i64>> {
        let mut room = Room::of(self, file);
        if let Value::Array(array) = self.root() {
            let view = self.view(array);
            room.book(view.as_ref().map_or(0, ArrayView::len), size_of::<i64>())?;
            let ints = view.and_then(|view| view.to_ints());
            return ints.ok_or_else(|| wrong_entry(file, 0, "integers", self.root()));
        }
        let items = self.items(file)?;
        room.book(items.len(), size_of::<i64>())?;
        let mut ints = Vec::with_capacity(items.len());
        for (i, &id) in items.iter().enumerate() {
            let number = match self.get(id) {
                Value::Int(number) => Some(*number),
                Value::Scalar(dtype, raw) => {
                    raw.get(..dtype.bytes()).and_then(|raw| dtype.int(raw))
                }
                _ => None,
            };
            ints.push(number.ok_or_else(|| wrong_entry(file, i, "an integer", self.get(id)))?);
        }
        Ok(ints)
    }

    /// The root as a list of arrays: a list of numpy arrays, or one array split along its first
    /// axis.
    ///
    /// # Errors
    /// When the root or an entry is anything else; names `file`.
    pub fn arrays(&self, file: &Path) -> Result<Vec<ArrayView<'_>>> {
        let mut room = Room::of(self, file);
        if let Value::Array(array) = self.root() {
            let (whole, n) = (self.view(array), array.shape.first().copied());
            let (Some(whole), Some(n)) = (whole, n) else {
                return Err(wrong_entry(file, 0, "an array of arrays", self.root()));
            };
            // An array with a size of zero may claim any first size: there is nothing to split.
            let n = if whole.is_empty() { 0 } else { n };
            room.book(n, VIEW + 16 * whole.shape.len())?;
            return Ok((0..n).filter_map(|i| whole.part(i)).collect());
        }
        let items = self.items(file)?;
        room.book(items.len(), VIEW)?;
        let mut views = Vec::with_capacity(items.len());
        for (i, &id) in items.iter().enumerate() {
            let view = self.array_at(id, &mut room)?;
            let wrong = || wrong_entry(file, i, "a numpy array", self.get(id));
            views.push(view.ok_or_else(wrong)?);
        }
        Ok(views)
    }

    /// The array at `id`, if it is one.
    fn array_at(&self, id: NodeId, room: &mut Room<'_>) -> Result<Option<ArrayView<'_>>> {
        let Value::Array(array) = self.get(id) else { return Ok(None) };
        room.book(1, 16 * array.shape.len())?;
        Ok(self.view(array))
    }

    fn view(&self, array: &Array) -> Option<ArrayView<'_>> {
        let layout = Layout::Strided(array.strides.clone(), 0);
        ArrayView::new(array.dtype, array.shape.clone(), layout, self.bytes(array))
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

/// Memory of an [`ArrayView`] without its shape.
const VIEW: usize = size_of::<ArrayView<'_>>();

/// Memory for the views of a document: what decoding has left.
struct Room<'f> {
    budget: Budget,
    file: &'f Path,
}

impl<'f> Room<'f> {
    fn of(document: &Document<'_>, file: &'f Path) -> Self {
        Self { budget: Budget::of(document.room), file }
    }

    fn book(&mut self, n: usize, bytes: usize) -> Result<()> {
        if self.budget.charge(n.saturating_mul(bytes)) {
            return Ok(());
        }
        Err(Error::malformed(
            self.file,
            TOO_LARGE,
            "the whole pickle",
            ("contents of about the size of the file", "more than twice the file and 16 MiB"),
            AS_ARRAYS,
        ))
    }
}

/// What to do with a dict that is not one of arrays by name.
const AS_DICT: &str = "pickle a dict of numpy arrays by the names of pictures and nothing else; or save one array as .npy, with the \
                       captions of its rows in a .txt beside it";

fn wrong_entry(file: &Path, i: usize, expected: &str, found: &Value<'_>) -> Error {
    wrong(file, format!("entry {i}"), expected, found, "check that this is the right file")
}

fn wrong(file: &Path, place: String, expected: &str, found: &Value<'_>, remedy: &str) -> Error {
    let pair = (expected, found.kind());
    Error::malformed(file, "pickle holds another kind of data", place, pair, remedy)
}
