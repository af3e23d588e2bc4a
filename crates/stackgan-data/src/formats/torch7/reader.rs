//! The reader of `.t7`: one loop over the objects of a file, with an explicit stack of unfinished
//! ones.

use super::tensor::{Class, class};
use super::value::{Document, Stored};
use crate::error::printable;
use crate::formats::array::Layout;
use crate::formats::budget::Budget;
use crate::formats::cursor::Cursor;
use crate::formats::fault::{Fault, Step};
use crate::formats::{ArrayView, DType};
use std::collections::BTreeMap;
use std::path::Path;

/// Maximum number of dimensions.
const MAX_DIMS: usize = 32;

/// Cost of an entry in the tree of references, with its share of a half-full leaf.
const REFERENCE: usize = 48;

/// Reads the only object of a file.
pub(super) fn read<'a>(bytes: &'a [u8], file: &Path) -> Step<Document<'a>> {
    let mut reader = Reader::new(bytes, file);
    reader.check_form(bytes)?;
    let root = reader.object()?;
    reader.document.root = root;
    if reader.cursor.left() > 0 {
        let found = format!("{} more bytes", reader.cursor.left());
        return reader.cursor.fault("data after the end", "one object and nothing else", found);
    }
    Ok(reader.document)
}

/// An object whose contents follow.
enum Open {
    /// A table: its index, the number of missing pairs, and the key that waits for its value.
    Table { index: u32, missing: usize, key: Option<Stored> },
    /// An object of another class: its fields follow.
    Object(u32),
    /// A function: its up-values are read and dropped.
    Function,
}

/// An object, or the beginning of one.
enum Begun {
    Whole(Stored),
    Part(Open),
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    budget: Budget,
    document: Document<'a>,
    /// The values read so far, by their index in the file.
    references: BTreeMap<i32, Stored>,
    open: Vec<Open>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], file: &Path) -> Self {
        let document = Document {
            file: file.to_path_buf(),
            root: Stored::Nil,
            strings: Vec::new(),
            tables: Vec::new(),
            tensors: Vec::new(),
            storages: Vec::new(),
            objects: Vec::new(),
        };
        Self {
            cursor: Cursor::new(bytes),
            budget: Budget::for_input(bytes.len()),
            document,
            references: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// Rejects other forms of `.t7`, by their first bytes.
    fn check_form(&self, bytes: &[u8]) -> Step<()> {
        let found = match bytes {
            [b'0'..=b'8', b'\n', ..] => "ASCII: save it again with torch.save(file, object)",
            [0, 0, 0, 1..=8, ..] => "numbers with the most significant byte first",
            _ => return Ok(()),
        };
        self.cursor.fault("this form of .t7 is not read", "binary, least byte first", found)
    }

    /// Reads one object with everything that it contains.
    fn object(&mut self) -> Step<Stored> {
        loop {
            let mut value = match self.begin()? {
                Begun::Whole(value) => value,
                Begun::Part(open) => {
                    if !self.budget.reserve(&mut self.open, 1) {
                        return self.too_large();
                    }
                    self.open.push(open);
                    continue;
                }
            };
            // The value may complete the enclosing object, which may complete the next, and so on.
            loop {
                match self.open.pop() {
                    None => return Ok(value),
                    Some(Open::Object(index)) => {
                        if let Some((_, fields)) = self.document.objects.get_mut(index as usize) {
                            *fields = value;
                        }
                        value = Stored::Object(index);
                    }
                    Some(Open::Function) => value = Stored::Function,
                    Some(Open::Table { index, missing, key: None }) => {
                        self.open.push(Open::Table { index, missing, key: Some(value) });
                        break;
                    }
                    Some(Open::Table { index, missing, key: Some(key) }) => {
                        if let Some(table) = self.document.tables.get_mut(index as usize) {
                            table.push((key, value));
                        }
                        if missing > 1 {
                            let missing = missing - 1;
                            self.open.push(Open::Table { index, missing, key: None });
                            break;
                        }
                        value = Stored::Table(index);
                    }
                }
            }
        }
    }

    fn begin(&mut self) -> Step<Begun> {
        let place = self.cursor.clone();
        let value = match self.cursor.i32()? {
            0 => Stored::Nil,
            1 => Stored::Number(self.cursor.f64()?),
            2 => {
                let string = self.string()?;
                Stored::String(self.keep(|document| &mut document.strings, string)?)
            }
            3 => return self.table(),
            4 => return self.torch_object(),
            5 => match self.cursor.i32()? {
                0 => Stored::Bool(false),
                1 => Stored::Bool(true),
                other => {
                    let found = other.to_string();
                    return place.fault("boolean is malformed", "0 or 1", found);
                }
            },
            tag @ 6..=8 => return self.function(tag),
            tag => {
                return place.fault(
                    "this is not an object of Torch",
                    "a type from 0 to 8",
                    format!("type {tag}"),
                );
            }
        };
        Ok(Begun::Whole(value))
    }

    fn table(&mut self) -> Step<Begun> {
        let reference = self.cursor.i32()?;
        if let Some(known) = self.known(reference, |stored| matches!(stored, Stored::Table(_)))? {
            return Ok(Begun::Whole(known));
        }
        let missing = self.cursor.count()?;
        // The shortest key takes 8 bytes, the shortest value 4.
        if missing > self.cursor.left() / 12 {
            let found = format!("{} bytes for {missing} pairs", self.cursor.left());
            return self.cursor.fault("file ends early", "the pairs of a table", found);
        }
        let mut pairs = Vec::new();
        if missing > 0 {
            self.charge(missing.saturating_mul(size_of::<(Stored, Stored)>()))?;
            pairs.reserve_exact(missing);
        }
        let index = self.keep(|document| &mut document.tables, pairs)?;
        self.refer(reference, Stored::Table(index))?;
        if missing == 0 {
            return Ok(Begun::Whole(Stored::Table(index)));
        }
        Ok(Begun::Part(Open::Table { index, missing, key: None }))
    }

    fn torch_object(&mut self) -> Step<Begun> {
        let reference = self.cursor.i32()?;
        let is_object =
            |stored| matches!(stored, Stored::Tensor(_) | Stored::Storage(_) | Stored::Object(_));
        if let Some(known) = self.known(reference, is_object)? {
            return Ok(Begun::Whole(known));
        }
        let name = self.class_name()?;
        let value = match class(name) {
            Some(Class::Storage(dtype)) => {
                let storage = self.storage(dtype)?;
                Stored::Storage(self.keep(|document| &mut document.storages, storage)?)
            }
            Some(Class::Tensor(dtype)) => {
                let tensor = self.tensor(dtype)?;
                Stored::Tensor(self.keep(|document| &mut document.tensors, tensor)?)
            }
            None => {
                let index = self.keep(|document| &mut document.objects, (name, Stored::Nil))?;
                self.refer(reference, Stored::Object(index))?;
                return Ok(Begun::Part(Open::Object(index)));
            }
        };
        self.refer(reference, value)?;
        Ok(Begun::Whole(value))
    }

    /// A class name: the version `V 1` and the name, or in the oldest files the name alone.
    fn class_name(&mut self) -> Step<&'a [u8]> {
        let first = self.string()?;
        if first.starts_with(b"V ") { self.string() } else { Ok(first) }
    }

    fn storage(&mut self, dtype: DType) -> Step<ArrayView<'a>> {
        let place = self.cursor.clone();
        let count = self.cursor.i64()?;
        let elements = usize::try_from(count).ok();
        let Some((count, size)) =
            elements.and_then(|n| n.checked_mul(dtype.bytes()).map(|size| (n, size)))
        else {
            return place.fault("storage is malformed", "a count of elements", count.to_string());
        };
        let bytes = self.cursor.take(size)?;
        self.view(&place, (dtype, vec![count], Layout::RowMajor, bytes))
    }

    fn tensor(&mut self, dtype: DType) -> Step<ArrayView<'a>> {
        let place = self.cursor.clone();
        let dims = self.cursor.count()?;
        if dims > MAX_DIMS {
            let expected = format!("at most {MAX_DIMS} dimensions");
            return place.fault("tensor is malformed", expected, dims.to_string());
        }
        let shape = self.extents(dims)?;
        let strides = self.extents(dims)?;
        let offset = self.cursor.i64()?;
        let bytes = self.tensor_storage(dtype)?.unwrap_or_default();
        if dims == 0 {
            // Torch 7 has no scalars: this is the empty tensor.
            return self.view(&place, (dtype, vec![0], Layout::RowMajor, bytes));
        }
        match usize::try_from(offset).ok().and_then(|offset| offset.checked_sub(1)) {
            Some(offset) => {
                self.view(&place, (dtype, shape, Layout::Strided(strides, offset), bytes))
            }
            None => place.fault("tensor is malformed", "an offset from 1", offset.to_string()),
        }
    }

    /// The bytes of a tensor's storage; `None` for the nil of an empty tensor.
    fn tensor_storage(&mut self, dtype: DType) -> Step<Option<&'a [u8]>> {
        let place = self.cursor.clone();
        let stored = match self.cursor.i32()? {
            0 => return Ok(None),
            4 => {
                let reference = self.cursor.i32()?;
                match self.known(reference, |stored| matches!(stored, Stored::Storage(_)))? {
                    Some(known) => known,
                    None => {
                        let name = self.class_name()?;
                        if class(name) != Some(Class::Storage(dtype)) {
                            let found = printable(&String::from_utf8_lossy(name));
                            return place.fault("tensor is malformed", "its storage", found);
                        }
                        let storage = self.storage(dtype)?;
                        let index = self.keep(|document| &mut document.storages, storage)?;
                        self.refer(reference, Stored::Storage(index))?;
                        Stored::Storage(index)
                    }
                }
            }
            tag => {
                let found = format!("type {tag}");
                return place.fault("tensor is malformed", "its storage", found);
            }
        };
        let found = match stored {
            Stored::Storage(index) => self.document.storages.get(index as usize),
            _ => None,
        };
        match found {
            Some(storage) if storage.dtype == dtype => Ok(Some(storage.bytes())),
            _ => place.fault("tensor is malformed", "its storage", "one of another type"),
        }
    }

    fn extents(&mut self, dims: usize) -> Step<Vec<usize>> {
        let mut extents = Vec::with_capacity(dims);
        for _ in 0..dims {
            let extent = self.cursor.i64()?;
            match usize::try_from(extent) {
                Ok(extent) => extents.push(extent),
                Err(_) => {
                    let found = extent.to_string();
                    return self.cursor.fault("tensor is malformed", "a number from 0", found);
                }
            }
        }
        Ok(extents)
    }

    fn view(
        &mut self,
        place: &Cursor<'a>,
        (dtype, shape, layout, bytes): (DType, Vec<usize>, Layout, &'a [u8]),
    ) -> Step<ArrayView<'a>> {
        self.charge(16 * shape.len())?;
        let found = format!("shape {shape:?} of {} bytes", bytes.len());
        match ArrayView::new(dtype, shape, layout, bytes) {
            Some(view) => Ok(view),
            None => place.fault("tensor is malformed", "elements within its storage", found),
        }
    }

    /// Skips a function: an index (except in the oldest files), its code, and its up-values.
    fn function(&mut self, tag: i32) -> Step<Begun> {
        if tag != 6 {
            let reference = self.cursor.i32()?;
            let is_function = |stored| matches!(stored, Stored::Function);
            if let Some(known) = self.known(reference, is_function)? {
                return Ok(Begun::Whole(known));
            }
            self.refer(reference, Stored::Function)?;
        }
        self.string()?;
        Ok(Begun::Part(Open::Function))
    }

    fn string(&mut self) -> Step<&'a [u8]> {
        let length = self.cursor.count()?;
        self.cursor.take(length)
    }

    /// The object with an index that was read before.
    fn known(&self, reference: i32, fits: impl Fn(Stored) -> bool) -> Step<Option<Stored>> {
        match self.references.get(&reference) {
            Some(&stored) if fits(stored) => Ok(Some(stored)),
            Some(_) => self.cursor.fault(
                "reference is malformed",
                "an object of the same type",
                format!("object {reference} of another type"),
            ),
            None => Ok(None),
        }
    }

    fn refer(&mut self, reference: i32, stored: Stored) -> Step<()> {
        self.charge(REFERENCE)?;
        self.references.insert(reference, stored);
        Ok(())
    }

    /// Appends to one of the document's lists; returns the index.
    fn keep<T>(
        &mut self,
        list: impl for<'d> Fn(&'d mut Document<'a>) -> &'d mut Vec<T>,
        item: T,
    ) -> Step<u32> {
        let list = list(&mut self.document);
        match u32::try_from(list.len()) {
            Ok(index) if self.budget.reserve(list, 1) => {
                list.push(item);
                Ok(index)
            }
            _ => self.too_large(),
        }
    }

    fn charge(&mut self, bytes: usize) -> Step<()> {
        if self.budget.charge(bytes) { Ok(()) } else { self.too_large() }
    }

    fn too_large<T>(&self) -> Step<T> {
        Err(Fault::too_large(self.cursor.offset()))
    }
}
