//! The structures in the headers of Parquet files, by the numbers of their fields (parquet-format,
//! `parquet.thrift`).
//!
//! The `parquet` crate reads most fields by their number alone, whatever kind of value the file says they
//! have. A text in place of a number, say, would be read there in another way than it is checked (`thrift`).
//! So a field of another kind than here is refused.

/// The kinds of values. A boolean in a structure has no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List,
    Struct,
}

impl Kind {
    /// Sets, maps and lists of booleans are in no header that is read.
    pub(super) const fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 | 2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::I16,
            5 => Self::I32,
            6 => Self::I64,
            7 => Self::Double,
            8 => Self::Binary,
            9 => Self::List,
            12 => Self::Struct,
            _ => return None,
        })
    }
}

/// The form of a value.
#[derive(Debug)]
pub(super) enum Shape {
    /// A value without parts.
    Of(Kind),
    /// A list of values of one form.
    Each(&'static Self),
    /// A structure. Fields that are not named may have any form: they are skipped.
    Fields(&'static [(i64, Self)]),
}

use Shape::{Each, Fields, Of};

const BOOL: Shape = Of(Kind::Bool);
const BYTE: Shape = Of(Kind::Byte);
const I16: Shape = Of(Kind::I16);
const I32: Shape = Of(Kind::I32);
const I64: Shape = Of(Kind::I64);
const DOUBLE: Shape = Of(Kind::Double);
const BINARY: Shape = Of(Kind::Binary);
const EMPTY: Shape = Fields(&[]);

/// The metadata at the end of a file. Field 2 is the list of columns.
pub(super) const FILE: Shape = Fields(&[
    (1, I32),
    (2, Each(&COLUMN)),
    (3, I64),
    (4, Each(&ROW_GROUP)),
    (5, Each(&KEY_VALUE)),
    (6, BINARY),
    (7, Each(&COLUMN_ORDER)),
]);

/// A column of the schema: field 4 is its name, 5 how many it holds.
const COLUMN: Shape = Fields(&[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, BINARY),
    (5, I32),
    (6, I32),
    (7, I32),
    (8, I32),
    (9, I32),
    (10, LOGICAL_TYPE),
]);

/// One of them: text, map, list, enumeration, decimal, date, time, timestamp, integer, unknown, JSON,
/// BSON, UUID, half, variant, geometry, geography, file.
const LOGICAL_TYPE: Shape = Fields(&[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Fields(&[(1, I32), (2, I32)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Fields(&[(1, BYTE), (2, BOOL)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Fields(&[(1, BYTE)])),
    (17, Fields(&[(1, BINARY)])),
    (18, Fields(&[(1, BINARY), (2, I32)])),
    (19, EMPTY),
]);
const TIME: Shape = Fields(&[(1, BOOL), (2, Fields(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]))]);

const ROW_GROUP: Shape = Fields(&[
    (1, Each(&CHUNK)),
    (2, I64),
    (3, I64),
    (4, Each(&Fields(&[(1, I32), (2, BOOL), (3, BOOL)]))),
    (5, I64),
    (6, I64),
    (7, I16),
]);

/// A column in a group of rows.
const CHUNK: Shape =
    Fields(&[(1, BINARY), (2, I64), (3, CHUNK_METADATA), (4, I64), (5, I32), (6, I64), (7, I32)]);
const CHUNK_METADATA: Shape = Fields(&[
    (1, I32),
    (2, Each(&I32)),
    (3, Each(&BINARY)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, Each(&KEY_VALUE)),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, STATISTICS),
    (13, Each(&Fields(&[(1, I32), (2, I32), (3, I32)]))),
    (14, I64),
    (15, I32),
    (16, Fields(&[(1, I64), (2, Each(&I64)), (3, Each(&I64))])),
    (17, Fields(&[(1, BOX), (2, Each(&I32))])),
]);
const STATISTICS: Shape = Fields(&[
    (1, BINARY),
    (2, BINARY),
    (3, I64),
    (4, I64),
    (5, BINARY),
    (6, BINARY),
    (7, BOOL),
    (8, BOOL),
    (9, I64),
]);
const BOX: Shape = Fields(&[
    (1, DOUBLE),
    (2, DOUBLE),
    (3, DOUBLE),
    (4, DOUBLE),
    (5, DOUBLE),
    (6, DOUBLE),
    (7, DOUBLE),
    (8, DOUBLE),
]);
const KEY_VALUE: Shape = Fields(&[(1, BINARY), (2, BINARY)]);
const COLUMN_ORDER: Shape = Fields(&[(1, EMPTY), (2, EMPTY)]);

/// The header of a page. Field 1 is its kind, 2 and 3 its unpacked and packed lengths; 5, 7 and 8 are of
/// pages of data, of a dictionary, and of data in the second version.
pub(super) const PAGE: Shape = Fields(&[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, Fields(&[(1, I32), (2, I32), (3, I32), (4, I32), (5, STATISTICS)])),
    (6, EMPTY),
    (7, Fields(&[(1, I32), (2, I32), (3, BOOL)])),
    (8, PAGE_2),
]);
const PAGE_2: Shape = Fields(&[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, I32),
    (6, I32),
    (7, BOOL),
    (8, STATISTICS),
]);
