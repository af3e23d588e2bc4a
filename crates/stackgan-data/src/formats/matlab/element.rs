//! The elements of a `.mat` file: a tag with type and size, the data, and padding to a multiple of
//! 8 bytes.

use super::super::cursor::Cursor;
use super::super::fault::Step;
use super::super::{DType, Kind};

/// Type codes of a variable's parts: name, sizes, flags.
pub(super) const I8: u32 = 1;
pub(super) const I32: u32 = 5;
pub(super) const U32: u32 = 6;
/// A variable.
pub(super) const MATRIX: u32 = 14;
/// A variable in a zlib stream.
pub(super) const COMPRESSED: u32 = 15;

/// The tag of an element.
pub(super) struct Tag {
    /// The type of the data.
    pub(super) kind: u32,
    /// Length of the data in bytes.
    pub(super) size: usize,
    /// Whether the data (up to 4 bytes) are in the second half of the tag itself.
    pub(super) small: bool,
}

impl Tag {
    /// Size of a tag in bytes.
    pub(super) const SIZE: usize = 8;

    /// Reads a tag; of a small one only its first half.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Step<Self> {
        let word = cursor.u32()?;
        if word >> 16 == 0 {
            return Ok(Self { kind: word, size: cursor.u32()? as usize, small: false });
        }
        let size = (word >> 16) as usize;
        if size > 4 {
            let found = format!("{size} bytes");
            return cursor.fault("small element is malformed", "at most 4 bytes", found);
        }
        Ok(Self { kind: word & 0xffff, size, small: true })
    }
}

/// Reads an element inside a variable: its type, and its data as a cursor. Skips the padding.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>) -> Step<(u32, Cursor<'a>)> {
    let tag = Tag::read(cursor)?;
    let data = cursor.part(tag.size)?;
    let room = if tag.small { 4 } else { tag.size.next_multiple_of(8) };
    cursor.take((room - tag.size).min(cursor.left()))?; // the last padding may be missing
    Ok((tag.kind, data))
}

/// The element type for a type code of numeric data.
pub(super) fn dtype(kind: u32) -> Option<DType> {
    Some(match kind {
        1 => DType::little(Kind::Int, 1),
        2 => DType::little(Kind::Unsigned, 1),
        3 => DType::little(Kind::Int, 2),
        4 => DType::little(Kind::Unsigned, 2),
        5 => DType::little(Kind::Int, 4),
        6 => DType::little(Kind::Unsigned, 4),
        7 => DType::little(Kind::Float, 4),
        9 => DType::little(Kind::Float, 8),
        12 => DType::little(Kind::Int, 8),
        13 => DType::little(Kind::Unsigned, 8),
        _ => return None,
    })
}
