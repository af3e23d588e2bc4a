//! What both formats say of a variable: its name, its kind, its shape, its numbers.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::budget::Budget;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Step};
use super::message::{Value, field};
use crate::Error;

/// What to do about a checkpoint that cannot be read.
pub(super) const REMEDY: &str = "fetch or copy the checkpoint again, with all of its files; if it is whole, save it with one \
                                 `tf.train.Saver`, in float32, of variables that are not partitioned";

/// The number by which TensorFlow's messages call 32-bit floating-point numbers.
const FLOAT: u64 = 1;
/// The most axes of a variable.
const MAX_AXES: usize = 254;
/// The most bytes of a name.
pub(super) const MAX_NAME: usize = 4096;
/// What a variable takes of memory beside its name and extents.
const OVERHEAD: usize = 250;

/// What is known of a variable before its numbers are read.
#[derive(Debug)]
pub(super) struct Variable<P> {
    pub(super) shape: Vec<usize>,
    /// The kind of its numbers.
    pub(super) kind: u64,
    /// Where its numbers are, as its format says it; none if they are in slices.
    pub(super) place: Option<P>,
}

/// Variables by name.
pub(super) type Variables<P> = BTreeMap<String, Variable<P>>;

/// Variables that are being collected, within a budget of memory.
pub(super) struct Collected<P> {
    budget: Budget,
    pub(super) all: Variables<P>,
}

impl<P> Collected<P> {
    /// None yet. Their memory is bounded whatever the file's length is: some 40,000 variables.
    pub(super) fn new() -> Self {
        Self { budget: Budget::of(15 << 20), all: Variables::new() }
    }

    /// Adds a variable; `at`: where the file tells of it.
    pub(super) fn add(&mut self, at: usize, name: &[u8], variable: Variable<P>) -> Step<()> {
        let name = self::name(at, name)?;
        // Twice: shapes by name are given away too.
        if !self.budget.charge(OVERHEAD + 2 * (name.len() + size_of_val(&*variable.shape))) {
            return Err(Fault::too_large(at));
        }
        self.all.insert(name.to_owned(), variable);
        Ok(())
    }
}

impl<P> Variable<P> {
    /// The place and the number of the numbers, or why they cannot be read.
    pub(super) fn readable(&self, path: &Path, name: &str) -> Result<(&P, usize), Error> {
        let found = match (self.kind, &self.place, elements(&self.shape)) {
            (FLOAT, Some(place), Some(count)) => return Ok((place, count)),
            (FLOAT, None, _) => "slices of it".to_owned(),
            (FLOAT, ..) => format!("shape {:?}", self.shape),
            (2, ..) => "float64".to_owned(),
            (14, ..) => "bfloat16".to_owned(),
            (19, ..) => "float16".to_owned(),
            (kind, ..) => format!("numbers of TensorFlow's kind {kind}"),
        };
        let expected = format!("`{}` whole, in float32", name.escape_debug());
        Err(damaged(path, "a variable that cannot be read", "the variable", (expected, found)))
    }
}

/// A name as text.
pub(super) fn name(at: usize, bytes: &[u8]) -> Step<&str> {
    match str::from_utf8(bytes) {
        Ok(name) if name.len() <= MAX_NAME => Ok(name),
        _ => {
            let expected = format!("text in UTF-8, of at most {MAX_NAME} bytes");
            let found = format!("{} other bytes", bytes.len());
            Err(Fault::new(at, "name of a variable", (expected, found)))
        }
    }
}

/// The extents of a shape's message.
pub(super) fn shape(mut message: Cursor<'_>) -> Step<Vec<usize>> {
    let mut shape = Vec::new();
    while let Some((number, value)) = field(&mut message)? {
        let (2, Value::Bytes(mut axis)) = (number, value) else { continue };
        let mut extent = 0;
        while let Some((number, value)) = field(&mut axis)? {
            if let (1, Value::Number(n)) = (number, value) {
                extent = n;
            }
        }
        let extent = usize::try_from(extent).ok().filter(|_| shape.len() < MAX_AXES);
        let Some(extent) = extent else {
            let expected = ("a shape of whole extents", "another one");
            return Err(Fault::new(message.offset(), "shape of a variable", expected));
        };
        shape.push(extent);
    }
    Ok(shape)
}

/// The number of elements, unless no memory could hold them.
fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(4usize, |n, &extent| n.checked_mul(extent)).map(|bytes| bytes / 4)
}

/// Floating-point numbers as they are in memory and in files.
pub(super) fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four))
}

/// The error of a variable whose numbers are not as they were written.
pub(super) fn damaged(
    path: &Path,
    what: &'static str,
    place: impl Into<Box<str>>,
    (expected, found): (String, String),
) -> Error {
    Error::malformed(path, what, place, (expected, found), REMEDY)
}
