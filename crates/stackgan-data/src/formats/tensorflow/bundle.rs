//! The newer format: an index with the place of each variable, and files with their numbers.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::super::cursor::Cursor;
use super::super::fault::{Fault, Step};
use super::message::{Value, field};
use super::table::{Table, masked};
use super::variable::{Collected, REMEDY, Variable, Variables, damaged, floats, shape};
use crate::positional::read_exact_at;
use crate::{Error, Result};

/// The most files of numbers: their names have five digits.
const MOST_FILES: u64 = 99_999;

/// Where the numbers of the variables are.
#[derive(Debug)]
pub(super) struct Bundle {
    index: PathBuf,
    files: u64,
    variables: Variables<Place>,
}

/// The place of a variable's numbers, and their sum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    file: u64,
    offset: u64,
    size: u64,
    sum: u32,
}

impl Bundle {
    /// Reads an index.
    pub(super) fn open(table: &Table) -> Result<Self> {
        let (mut variables, mut files) = (Collected::new(), 1);
        table.visit(table.blocks(), |key, value| {
            if key.is_empty() {
                files = header(value)?;
                return Ok(());
            }
            // Slices of a variable, which its own entry tells of, have keys that are no names.
            if key.starts_with(&[0]) {
                return Ok(());
            }
            let (at, variable) = (value.offset(), entry(value)?);
            if let Some(Place { file, .. }) = variable.place
                && file >= files
            {
                let pair = (format!("one of {files} files of numbers"), format!("file {file}"));
                return Err(Fault::new(at, "place of a variable", pair));
            }
            variables.add(at, key, variable)
        })?;
        Ok(Self { index: table.path().to_owned(), files, variables: variables.all })
    }

    pub(super) const fn variables(&self) -> &Variables<Place> {
        &self.variables
    }

    pub(super) fn path(&self) -> &Path {
        &self.index
    }

    /// Reads the variables of these names.
    pub(super) fn read(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, Vec<f32>>> {
        let mut open: BTreeMap<u64, Numbers> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for (name, variable) in self.variables.iter().filter(|(name, _)| names.contains(*name)) {
            let (place, count) = variable.readable(&self.index, name)?;
            let of = match open.entry(place.file) {
                Entry::Occupied(open) => open.into_mut(),
                Entry::Vacant(none) => none.insert(self.numbers(place.file)?),
            };
            found.insert(name.clone(), of.read(name, place, count)?);
        }
        Ok(found)
    }

    /// The files that hold something: the index, and those of numbers.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let places = self.variables.values().filter_map(|variable| variable.place);
        let files: BTreeSet<u64> = places.map(|place| place.file).collect();
        let numbers = files.into_iter().map(|number| self.file(number));
        std::iter::once(self.index.clone()).chain(numbers).collect()
    }

    fn file(&self, number: u64) -> PathBuf {
        let mut path = self.index.clone();
        if path.extension().is_some_and(|extension| extension == "index") {
            path.set_extension("");
        }
        let mut name = path.into_os_string();
        name.push(format!(".data-{number:05}-of-{:05}", self.files));
        name.into()
    }

    fn numbers(&self, number: u64) -> Result<Numbers> {
        let path = self.file(number);
        // A pipe is as good as no file, and would be waited for.
        if !path.is_file() {
            let expected = format!("the numbers of the variables in {}", self.index.display());
            let what = "a file of the checkpoint is missing";
            return Err(Error::missing(&path, what, expected, REMEDY));
        }
        let file = File::open(&path).map_err(|e| Error::read(&path, e))?;
        let length = file.metadata().map_err(|e| Error::read(&path, e))?.len();
        Ok(Numbers { path, length, file, taken: Vec::new() })
    }
}

/// An open file of numbers.
struct Numbers {
    path: PathBuf,
    length: u64,
    file: File,
    /// Where the variables are that were read.
    taken: Vec<Range<u64>>,
}

impl Numbers {
    /// Reads a variable of `count` numbers.
    fn read(&mut self, name: &str, place: &Place, count: usize) -> Result<Vec<f32>> {
        let Place { offset, size, sum, .. } = *place;
        let end = offset.checked_add(size).filter(|end| *end <= self.length);
        let range = offset..end.unwrap_or(offset);
        let (name, at) = (name.escape_debug(), format!("byte {offset}"));
        let fault = |what, expected: String, found: String| {
            Err(damaged(&self.path, what, at.as_str(), (expected, found)))
        };
        if end.is_none() || u64::try_from(4 * count) != Ok(size) {
            let expected = format!("{count} numbers of `{name}`");
            let found = format!("{size} bytes of a file of {}", self.length);
            return fault("not all numbers", expected, found);
        }
        // Variables that share numbers would take more memory than the file.
        let shared = |other: &Range<u64>| other.start < range.end && range.start < other.end;
        if self.taken.iter().any(shared) {
            let (expected, found) =
                (format!("numbers of `{name}` alone"), "shared ones".to_owned());
            return fault("variables share their numbers", expected, found);
        }
        self.taken.push(range);
        let mut bytes = vec![0; 4 * count];
        read_exact_at(&self.file, &mut bytes, offset).map_err(|e| Error::read(&self.path, e))?;
        let found = masked(crc32c::crc32c(&bytes));
        if found != sum {
            let expected = format!("numbers of `{name}` with the sum {sum:08x}");
            return fault("damaged numbers", expected, format!("{found:08x}"));
        }
        Ok(floats(&bytes).collect())
    }
}

/// What the name of one of several files begins with, and how many they are: `…-00000-of-00001`.
pub(super) fn shard(name: &str) -> Option<(&str, u64)> {
    let (rest, files) = name.rsplit_once("-of-")?;
    let (prefix, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let files = files.parse().ok().filter(|_| digits(number) && digits(files))?;
    Some((prefix, files))
}

/// The number of files of numbers.
fn header(mut message: Cursor<'_>) -> Step<u64> {
    let at = message.offset();
    let mut files = 1;
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (1, Value::Number(n @ 1..=MOST_FILES)) => files = n,
            (1, Value::Number(n)) => {
                let expected = format!("1 to {MOST_FILES}");
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

/// A variable by its message.
fn entry(mut message: Cursor<'_>) -> Step<Variable<Place>> {
    let (mut variable, mut place, mut sliced) =
        (Variable { shape: Vec::new(), kind: 0, place: None }, Place::default(), false);
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (1, Value::Number(n)) => variable.kind = n,
            (2, Value::Bytes(message)) => variable.shape = shape(message)?,
            (3, Value::Number(n)) => place.file = n,
            (4, Value::Number(n)) => place.offset = n,
            (5, Value::Number(n)) => place.size = n,
            (6, Value::Four(sum)) => place.sum = sum,
            (7, _) => sliced = true,
            _ => {}
        }
    }
    variable.place = (!sliced).then_some(place);
    Ok(variable)
}
