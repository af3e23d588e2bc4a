//! The values of one column of a group of rows, row by row.

use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};

use super::boundary::caught;
use super::file::Open;
use super::schema::{Kind, Leaf};
use crate::Result;

/// The values of a column of type `T`.
pub(super) struct Cells<'a, T: DataType> {
    reader: ColumnReaderImpl<T>,
    place: (&'a Open<'a>, usize, &'a str),
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Vec<T::T>,
}

impl<'a, T: DataType> Cells<'a, T> {
    /// Those of `leaf`, which must be of this type, in a group of rows.
    pub(super) fn of(open: &'a Open<'a>, group: usize, leaf: &'a Leaf) -> Result<Self> {
        let pages = open.pages(group, leaf.index)?;
        let column = open.metadata.file_metadata().schema_descr().column(leaf.index);
        let reader = ColumnReaderImpl::new(column, pages);
        let place = (open, group, leaf.name.as_str());
        let (definitions, repetitions, values) = Default::default();
        Ok(Self { reader, place, definitions, repetitions, values })
    }

    /// The values of the next row: those of a list, or at most one. Empty values are left out.
    pub(super) fn next(&mut self) -> Result<&[T::T]> {
        self.definitions.clear();
        self.repetitions.clear();
        self.values.clear();
        let Self { reader, definitions, repetitions, values, place: (open, group, name) } = self;
        let read = caught(|| reader.read_records(1, Some(definitions), Some(repetitions), values));
        match read {
            Ok((1, ..)) => Ok(values),
            Ok(_) => Err(open.damaged(*group, name, "a value for each row", "its end".to_owned())),
            Err(error) => Err(open.unreadable(*group, name, &error)),
        }
    }
}

impl Cells<'_, ByteArrayType> {
    /// The value of the next row, of a column without lists.
    pub(super) fn bytes(&mut self) -> Result<Option<&[u8]>> {
        Ok(self.next()?.first().map(ByteArray::data))
    }
}

/// The classes of a group of rows.
pub(super) enum Labels<'a> {
    Text(Cells<'a, ByteArrayType>),
    Int32(Cells<'a, Int32Type>),
    Int64(Cells<'a, Int64Type>),
}

/// A class as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label<'a> {
    Text(&'a [u8]),
    Number(i64),
}

impl<'a> Labels<'a> {
    pub(super) fn of(open: &'a Open<'a>, group: usize, leaf: &'a Leaf) -> Result<Self> {
        Ok(match leaf.kind {
            Kind::Int32 => Self::Int32(Cells::of(open, group, leaf)?),
            Kind::Int64 => Self::Int64(Cells::of(open, group, leaf)?),
            _ => Self::Text(Cells::of(open, group, leaf)?),
        })
    }

    /// The class of the next row.
    pub(super) fn next(&mut self) -> Result<Option<Label<'_>>> {
        Ok(match self {
            Self::Text(cells) => cells.bytes()?.map(Label::Text),
            Self::Int32(cells) => cells.next()?.first().map(|&n| Label::Number(n.into())),
            Self::Int64(cells) => cells.next()?.first().map(|&n| Label::Number(n)),
        })
    }
}
