//! What both formats say of a variable: its kind, its shape, its numbers.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::budget::Budget;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Step};
use super::message::{Value, field};
use crate::Error;

/// The number by which TensorFlow's messages call 32-bit floating-point numbers.
pub(super) const FLOAT: u64 = 1;

/// The most axes of a variable.
const MAX_AXES: usize = 254;

/// The shapes of variables by name.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// What a variable takes of memory beside its name and extents.
const OVERHEAD: usize = 200;

/// Charges a variable that will be remembered; `at`: where the file tells of it.
pub(super) fn charge(budget: &mut Budget, at: usize, name: &str, shape: &[usize]) -> Step<()> {
    if budget.charge(OVERHEAD + name.len() + size_of_val(shape)) {
        return Ok(());
    }
    Err(Fault::too_large(at))
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
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(4usize, |n, &extent| n.checked_mul(extent)).map(|bytes| bytes / 4)
}

/// Floating-point numbers as they are in memory and in files.
pub(super) fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four))
}

/// The error of a variable whose numbers are not as they were written.
pub(super) fn damaged(path: &Path, what: &'static str, expected: String, found: String) -> Error {
    Error::malformed(path, what, "the numbers", (expected, found), REMEDY)
}

/// What to do about a damaged file.
pub(super) const REMEDY: &str = "fetch or copy the checkpoint again; all of its files are needed";
