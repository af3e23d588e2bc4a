//! The newer format: an index with the place of each variable, and files with their numbers.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::budget::Budget;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Step};
use super::message::{Value, field};
use super::table::{Table, masked};
use super::variable::{FLOAT, REMEDY, Shapes, charge, damaged, elements, floats, shape};
use crate::positional::PositionalFile;
use crate::{Error, Result};

/// The most files of numbers: their names have five digits.
const MOST_FILES: u64 = 99_999;

/// Where the numbers of the variables are.
#[derive(Debug)]
pub(super) struct Bundle {
    index: PathBuf,
    files: u64,
    places: BTreeMap<String, Place>,
}

/// The place of a variable's numbers, and their sum.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    file: u64,
    offset: u64,
    size: u64,
    sum: u32,
}

impl Bundle {
    /// Reads an index: the shapes of the variables, and where they are.
    pub(super) fn open(table: &Table, index: &Path) -> Result<(Shapes, Self)> {
        let (mut shapes, mut places, mut files) = (Shapes::new(), BTreeMap::new(), 1);
        let mut budget = Budget::for_input(table.length());
        table.visit(table.blocks(), |key, value| {
            let at = value.offset();
            if key.is_empty() {
                files = header(value)?;
            } else if let Some((shape, place)) = entry(value)? {
                let name = String::from_utf8_lossy(key).into_owned();
                charge(&mut budget, at, &name, &shape)?;
                shapes.insert(name.clone(), shape);
                places.insert(name, place);
            }
            Ok(())
        })?;
        Ok((shapes, Self { index: index.to_owned(), files, places }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.index
    }

    /// Reads the variables of these names.
    pub(super) fn read(
        &self,
        names: &BTreeSet<String>,
        shapes: &Shapes,
    ) -> Result<BTreeMap<String, Vec<f32>>> {
        let mut open: BTreeMap<u64, Numbers> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for name in names {
            let (Some(place), Some(shape)) = (self.places.get(name), shapes.get(name)) else {
                continue;
            };
            let of = match open.entry(place.file) {
                Entry::Occupied(open) => open.into_mut(),
                Entry::Vacant(none) => none.insert(self.numbers(place.file)?),
            };
            let size = elements(shape).and_then(|n| u64::try_from(4 * n).ok());
            let end = place.offset.checked_add(place.size);
            let named = format!("`{}` of shape {shape:?}", name.escape_debug());
            if size != Some(place.size) || end.is_none_or(|end| end > of.length) {
                let found = format!("{} of the file's {} bytes", place.size, of.length);
                return Err(damaged(&of.path, "not all numbers", named, found));
            }
            // Variables that share numbers would take more memory than the file.
            of.read += place.size;
            if of.read > of.length {
                let found = "numbers of another variable".to_owned();
                return Err(damaged(&of.path, "variables share their numbers", named, found));
            }
            let mut bytes = vec![0; usize::try_from(place.size).unwrap_or(0)];
            let read = of.file.read_exact_at(&mut bytes, place.offset);
            read.map_err(|e| Error::read(&of.path, e))?;
            if masked(crc32c::crc32c(&bytes)) != place.sum {
                let expected = format!("{named}, by its sum");
                return Err(damaged(&of.path, "damaged numbers", expected, "others".to_owned()));
            }
            found.insert(name.clone(), floats(&bytes).collect());
        }
        Ok(found)
    }

    /// All files: the index, and those of numbers.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        std::iter::once(self.index.clone()).chain((0..self.files).map(|n| self.file(n))).collect()
    }

    fn file(&self, number: u64) -> PathBuf {
        let index = self.index.file_name().unwrap_or_default().to_string_lossy();
        let prefix = index.strip_suffix(".index").unwrap_or(&index);
        self.index.with_file_name(format!("{prefix}.data-{number:05}-of-{:05}", self.files))
    }

    fn numbers(&self, number: u64) -> Result<Numbers> {
        let path = self.file(number);
        if !path.exists() {
            return Err(Error::Missing {
                what: "a file of the checkpoint is missing".to_owned(),
                file: path,
                expected: format!("the numbers of the variables in {}", self.index.display()),
                remedy: REMEDY.to_owned(),
            });
        }
        let file = File::open(&path).map_err(|e| Error::read(&path, e))?;
        let length = file.metadata().map_err(|e| Error::read(&path, e))?.len();
        Ok(Numbers { path, length, file: PositionalFile::new(file), read: 0 })
    }
}

/// An open file of numbers.
struct Numbers {
    path: PathBuf,
    length: u64,
    file: PositionalFile,
    /// Bytes of all variables that were read.
    read: u64,
}

/// What the name of a file of numbers begins with, as that of its index does.
pub(super) fn prefix(name: &str) -> Option<&str> {
    let (prefix, numbers) = name.rsplit_once(".data-")?;
    let (number, of) = numbers.split_once("-of-")?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(number) && digits(of)).then_some(prefix)
}

/// The number of files of numbers.
fn header(mut message: Cursor<'_>) -> Step<u64> {
    let at = message.offset();
    let mut files = 1;
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (1, Value::Number(n @ 1..=MOST_FILES)) => files = n,
            (1, Value::Number(n)) => {
                let expected = format!("at most {MOST_FILES}");
                return Err(Fault::new(at, "files of numbers", (expected, n.to_string())));
            }
            (2, Value::Number(1)) => {
                let pair = ("numbers with the lowest byte first", "the highest byte first");
                return Err(Fault::new(at, "order of bytes", pair));
            }
            _ => {}
        }
    }
    Ok(files)
}

/// Shape and place of a variable, if its numbers are floating-point numbers.
fn entry(mut message: Cursor<'_>) -> Step<Option<(Vec<usize>, Place)>> {
    let at = message.offset();
    let (mut kind, mut extents, mut place) = (0, Vec::new(), Place::default());
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (1, Value::Number(n)) => kind = n,
            (2, Value::Bytes(message)) => extents = shape(message)?,
            (3, Value::Number(n)) => place.file = n,
            (4, Value::Number(n)) => place.offset = n,
            (5, Value::Number(n)) => place.size = n,
            (6, Value::Four(sum)) => place.sum = sum,
            (7, _) => {
                let pair = ("whole variables", "one in slices");
                return Err(Fault::new(at, "a variable in slices", pair));
            }
            _ => {}
        }
    }
    Ok((kind == FLOAT).then_some((extents, place)))
}
