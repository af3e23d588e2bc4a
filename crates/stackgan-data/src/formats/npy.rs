//! numpy's `.npy` files of one array: versions 1.0 to 3.0, either byte order, C and Fortran order.
//!
//! A file consists of a magic, a version, the length of the header, a header that is a Python dict
//! of three keys, and the elements (NEP 1; `numpy.lib.format`). Arrays of objects (pickles),
//! strings, records and complex numbers are rejected by name.

use super::array::Layout;
use super::cursor::Cursor;
use super::fault::Step;
use super::{ArrayView, DType};
use crate::Result;
use crate::error::printable;
use std::path::Path;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Maximum length of a header in bytes; those of plain numbers have about 100 bytes.
const MAX_HEADER: usize = 10_000; // numpy's own limit

/// Maximum number of dimensions: the limit of numpy 2.
const MAX_DIMS: usize = 64;

/// Reads an array; `file` is for error messages only.
///
/// # Errors
/// [`Error::Malformed`](crate::Error::Malformed) with the byte offset when the input is not exactly
/// one array of plain numbers.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<ArrayView<'a>> {
    array(Cursor::new(bytes)).map_err(|fault| {
        let remedy = "check that this is an .npy file, whole; save plain numbers with numpy.save";
        fault.in_file(file, bytes.len(), remedy)
    })
}

fn array(mut cursor: Cursor<'_>) -> Step<ArrayView<'_>> {
    if !cursor.rest().starts_with(MAGIC) {
        return cursor.fault("this is not an .npy file", "its magic", "other bytes");
    }
    cursor.take(MAGIC.len())?;
    let [major, minor] = cursor.array()?;
    let length = match (major, minor) {
        (1, 0) => usize::from(cursor.u16()?),
        (2 | 3, 0) => cursor.u32()? as usize,
        _ => {
            let found = format!("{major}.{minor}");
            return cursor.fault("unknown version of .npy", "1.0, 2.0 or 3.0", found);
        }
    };
    if length > MAX_HEADER {
        let expected = format!("at most {MAX_HEADER} bytes");
        return cursor.fault("header is too long", expected, format!("{length} bytes"));
    }
    let header = Header::parse(cursor.part(length)?)?;
    let place = cursor.clone();
    let bytes = cursor.take(cursor.left())?;
    let layout = if header.fortran { Layout::ColumnMajor } else { Layout::RowMajor };
    let elements = header.shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
    let size = elements.and_then(|n| n.checked_mul(header.dtype.bytes()));
    if size == Some(bytes.len())
        && let Some(view) = ArrayView::new(header.dtype, header.shape.clone(), layout, bytes)
    {
        return Ok(view);
    }
    let expected = match size {
        Some(size) => format!("{size} bytes for shape {:?}", header.shape),
        None => format!("a size that can exist, not shape {:?}", header.shape),
    };
    place.fault("array has the wrong length", expected, format!("{} bytes", bytes.len()))
}

/// The three values of the header.
struct Header {
    dtype: DType,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, with the keys in any
    /// order.
    fn parse(mut cursor: Cursor<'_>) -> Step<Self> {
        let place = cursor.clone();
        let text = cursor.take(cursor.left())?;
        let malformed = || {
            let found = String::from_utf8_lossy(text.get(..text.len().min(80)).unwrap_or_default());
            let expected = "a dict of descr, fortran_order and shape";
            place.fault("header is malformed", expected, printable(&found))
        };
        let mut tokens = Tokens { rest: text };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        let mut parse = || -> Option<()> {
            tokens.expect(b"{")?;
            while tokens.expect(b"}").is_none() {
                let key = tokens.quoted()?;
                tokens.expect(b":")?;
                match key {
                    b"descr" if descr.is_none() => descr = Some(tokens.descr()?),
                    b"fortran_order" if fortran.is_none() => fortran = Some(tokens.truth()?),
                    b"shape" if shape.is_none() => shape = Some(tokens.extents()?),
                    _ => return None,
                }
                if tokens.expect(b",").is_none() {
                    tokens.expect(b"}")?;
                    break;
                }
            }
            tokens.rest.trim_ascii().is_empty().then_some(())
        };
        let (Some(()), Some(descr), Some(fortran), Some(shape)) = (parse(), descr, fortran, shape)
        else {
            return malformed();
        };
        let dtype = match descr.split_first() {
            Some((b'<' | b'|', name)) => DType::parse(name),
            Some((b'>', name)) => {
                DType::parse(name).map(|dtype| DType { big_endian: true, ..dtype })
            }
            _ => None,
        };
        match dtype {
            Some(dtype) => Ok(Self { dtype, fortran, shape }),
            None => place.fault(
                "element type is not supported",
                "b1, i1 to i8, u1 to u8, f2, f4 or f8 in a stated byte order",
                printable(&String::from_utf8_lossy(descr)),
            ),
        }
    }
}

/// The rest of a header.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    fn expect(&mut self, token: &[u8]) -> Option<()> {
        self.rest = self.rest.trim_ascii_start();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    /// A string in either kind of quotes, without escapes.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        self.rest = self.rest.trim_ascii_start();
        let (&quote, rest) = self.rest.split_first()?;
        if !matches!(quote, b'\'' | b'"') {
            return None;
        }
        let end = rest.iter().position(|&byte| byte == quote)?;
        self.rest = rest.get(end + 1..)?;
        rest.get(..end)
    }

    /// The element type: its name, or the beginning of a list that describes a record.
    fn descr(&mut self) -> Option<&'a [u8]> {
        self.rest = self.rest.trim_ascii_start();
        if !self.rest.starts_with(b"[") {
            return self.quoted();
        }
        let end = self.rest.iter().position(|&byte| byte == b']')?;
        let (list, rest) = self.rest.split_at_checked(end + 1)?;
        self.rest = rest;
        Some(list)
    }

    fn truth(&mut self) -> Option<bool> {
        if self.expect(b"True").is_some() {
            return Some(true);
        }
        self.expect(b"False").map(|()| false)
    }

    /// A tuple of numbers; Python 2 wrote some with the suffix `L`.
    fn extents(&mut self) -> Option<Vec<usize>> {
        self.expect(b"(")?;
        let mut shape = Vec::new();
        while self.expect(b")").is_none() {
            self.rest = self.rest.trim_ascii_start();
            let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (number, rest) = self.rest.split_at_checked(digits)?;
            let number = std::str::from_utf8(number).ok()?.parse().ok()?;
            self.rest = rest.strip_prefix(b"L").unwrap_or(rest);
            if shape.len() == MAX_DIMS {
                return None;
            }
            shape.push(number);
            if self.expect(b",").is_none() {
                self.expect(b")")?;
                break;
            }
        }
        Some(shape)
    }
}
