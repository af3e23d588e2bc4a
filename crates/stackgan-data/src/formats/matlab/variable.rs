//! One variable of a `.mat` file: flags, sizes, name and numbers.
//!
//! The numbers may be stored in a narrower type than the class of the variable, for example
//! integers of class double as bytes.

use super::super::array::Layout;
use super::super::budget::Budget;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Step};
use super::super::{ArrayView, DType};
use super::element;
use std::borrow::Cow;

/// Maximum number of dimensions.
const MAX_DIMS: usize = 32;

/// A variable with the bytes that its facts refer to.
#[derive(Debug)]
pub(super) struct Variable<'a> {
    pub(super) facts: Facts,
    pub(super) data: Cow<'a, [u8]>,
}

/// The description of a variable.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    shape: Vec<usize>,
    /// The numbers, or the kind of a variable that is not numeric.
    numbers: Result<Numbers, &'static str>,
}

/// Location and type of the numbers.
#[derive(Debug)]
struct Numbers {
    dtype: DType,
    start: usize,
    length: usize,
}

impl Variable<'_> {
    /// The array, or the kind of a variable that is not numeric.
    pub(super) fn array(&self) -> Result<ArrayView<'_>, &'static str> {
        let Facts { shape, numbers, .. } = &self.facts;
        let numbers = numbers.as_ref().map_err(|kind| *kind)?;
        let bytes = self.data.get(numbers.start..).and_then(|rest| rest.get(..numbers.length));
        let bytes = bytes.unwrap_or_default();
        ArrayView::new(numbers.dtype, shape.clone(), Layout::ColumnMajor, bytes)
            .ok_or("an array of another size") // checked when it was read
    }
}

impl Facts {
    /// Reads the contents of a variable.
    pub(super) fn read(mut cursor: Cursor<'_>, budget: &mut Budget) -> Step<Self> {
        let (big_endian, origin) = (cursor.big_endian(), cursor.offset());
        let malformed = |cursor: &Cursor<'_>, expected: &str, kind: u32| {
            let found = format!("an element of type {kind}");
            cursor.fault("variable is malformed", expected, found)
        };
        let (kind, mut flags) = element::read(&mut cursor)?;
        if kind != element::U32 {
            return malformed(&cursor, "the flags of an array", kind);
        }
        let flags = flags.u32()?;
        if flags & 0xff == OPAQUE {
            // Objects have no dimensions; their name comes first.
            return Ok(Self { name: String::new(), shape: Vec::new(), numbers: Err("an object") });
        }
        let (kind, mut extents) = element::read(&mut cursor)?;
        if kind != element::I32 || extents.left() > 4 * MAX_DIMS {
            return malformed(&cursor, "the extents of an array", kind);
        }
        let mut shape = Vec::new();
        while extents.left() > 0 {
            shape.push(extents.count()?);
        }
        let (kind, name) = element::read(&mut cursor)?;
        if kind != element::I8 {
            return malformed(&cursor, "the name of an array", kind);
        }
        if !budget.charge(8 * MAX_DIMS + 2 * name.left()) {
            return Err(Fault::too_large(name.offset()));
        }
        let name = name.rest().iter().map(|&byte| char::from(byte)).collect();
        if let Some(kind) = not_numbers(flags) {
            return Ok(Self { name, shape, numbers: Err(kind) });
        }
        let place = cursor.clone();
        let (kind, part) = element::read(&mut cursor)?;
        let Some(dtype) = element::dtype(kind) else {
            return malformed(&place, "numbers", kind);
        };
        let dtype = DType { big_endian, ..dtype };
        let elements = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        let size = elements.and_then(|n| n.checked_mul(dtype.bytes()));
        if size != Some(part.left()) || cursor.left() > 0 {
            let found = format!("{} bytes, and {} more", part.left(), cursor.left());
            return place.fault("array has the wrong length", format!("shape {shape:?}"), found);
        }
        let start = part.offset() - origin;
        let numbers = Numbers { dtype, start, length: part.left() };
        Ok(Self { name, shape, numbers: Ok(numbers) })
    }
}

/// Class of newer objects (strings in double quotes, tables).
const OPAQUE: u32 = 17;

/// The kind of a variable with these flags, if it is not an array of real numbers.
fn not_numbers(flags: u32) -> Option<&'static str> {
    match flags & 0xff {
        6..=15 if flags & 0x0800 != 0 => Some("complex numbers"),
        6..=15 => None,
        1 => Some("a cell array"),
        2 => Some("a struct"),
        3 => Some("an object"),
        4 => Some("text"),
        5 => Some("a sparse matrix"),
        16 => Some("a function"),
        _ => Some("of an unknown class"),
    }
}
