//! Captioned pictures in Parquet files, as Hugging Face's `datasets` writes them: a column of pictures
//! (a structure of `bytes` and `path`, or bytes alone), columns of captions (texts or lists of
//! texts), and perhaps one of classes (numbers with names, or texts).
//!
//! A page is the unit of memory: of each column that is read one page is in memory, with its
//! dictionary. A page is unpacked only if it has at most 1 GiB, and at most 20 times its size in
//! the file or 1 MiB. So the heap holds at most 64 MiB and 22 times the size of the file, whatever
//! the file claims; of a file that is what it seems it holds about twice the largest page.
//!
//! The pages are decoded by the crate `parquet` (behind `boundary`), after `thrift` and `file` have
//! checked what they claim.

mod boundary;
mod cells;
mod file;
mod schema;
mod structures;
mod thrift;

use std::path::Path;

use parquet::data_type::ByteArrayType;

use super::columns::{Columns, Found};
use super::sample::{self, Captions, Content, Entry, Picture, Sample};
use crate::archive::may_unpack_to;
use crate::error::printable;
use crate::{Error, Result};
use boundary::AGAIN;
use cells::{Cells, Label, Labels};
use file::Open;
use schema::Chosen;

/// A Parquet file whose columns are chosen.
#[derive(Debug)]
pub struct Shard<'a> {
    open: Open<'a>,
    chosen: Chosen,
}

impl<'a> Shard<'a> {
    /// Opens a file and chooses its columns.
    ///
    /// # Errors
    /// When the file is damaged or claims more than it can hold; when the columns are not clear,
    /// with those that are there.
    pub fn open(path: &'a Path, columns: &Columns) -> Result<Self> {
        let open = Open::new(path)?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let chosen = schema::choose(open.metadata.file_metadata(), columns, &printable(&file))?;
        let (rows, length) = (open.metadata.file_metadata().num_rows(), open.length);
        let counted: i64 = open
            .metadata
            .row_groups()
            .iter()
            .fold(0, |sum: i64, group| sum.saturating_add(group.num_rows().max(0)));
        if u64::try_from(rows).map_or(true, |rows| rows > length) || counted != rows {
            let found = format!("{rows} rows, {counted} in its groups, in {length} bytes");
            let expected = "as many rows as its groups have, and no more than bytes";
            let what = "the file is damaged";
            return Err(Error::malformed(path, what, "metadata", (expected, found), AGAIN));
        }
        Ok(Self { open, chosen })
    }

    /// What was found in the file.
    pub(super) const fn found(&self) -> &Found {
        &self.chosen.found
    }

    /// Size of the columns that are read, in bytes, as far as the file says.
    pub(super) fn size(&self) -> u64 {
        let groups = self.open.metadata.row_groups().iter();
        let column = |group: &parquet::file::metadata::RowGroupMetaData| {
            let size = group.columns().get(self.chosen.image.index)?.compressed_size();
            u64::try_from(size).ok()
        };
        groups.filter_map(column).fold(0_u64, u64::saturating_add).min(self.open.length)
    }

    /// Reads the rows in order. `take` also gets the number of bytes of the file that the rows
    /// before make up, about.
    ///
    /// # Errors
    /// When the file is damaged, holds paths instead of pictures, or unpacks to more than a file
    /// of its size can; those of `take`.
    pub fn read(&self, take: &mut dyn FnMut(Entry<'_>, u64) -> Result<()>) -> Result<()> {
        let mut left = may_unpack_to(self.open.length);
        let rows = self.open.metadata.file_metadata().num_rows().max(1) as u64;
        let mut row = 0_u64;
        for (group, facts) in self.open.metadata.row_groups().iter().enumerate() {
            let mut columns = Group::of(&self.open, group, &self.chosen)?;
            for _ in 0..facts.num_rows() {
                let name = format!("row {row}");
                let content = columns.row(&self.open, &name, &mut left)?;
                let done = u128::from(self.open.length) * u128::from(row) / u128::from(rows);
                take(Entry { name: &name, content }, done as u64)?;
                row += 1;
            }
        }
        Ok(())
    }
}

/// The columns of a group of rows.
struct Group<'a> {
    image: Cells<'a, ByteArrayType>,
    path: Option<Cells<'a, ByteArrayType>>,
    text: Vec<Cells<'a, ByteArrayType>>,
    class: Option<Labels<'a>>,
    chosen: &'a Chosen,
}

impl<'a> Group<'a> {
    fn of(open: &'a Open<'a>, group: usize, chosen: &'a Chosen) -> Result<Self> {
        let text = chosen.text.iter().map(|leaf| Cells::of(open, group, leaf));
        Ok(Self {
            image: Cells::of(open, group, &chosen.image)?,
            path: chosen.path.as_ref().map(|leaf| Cells::of(open, group, leaf)).transpose()?,
            text: text.collect::<Result<_>>()?,
            class: chosen.class.as_ref().map(|leaf| Labels::of(open, group, leaf)).transpose()?,
            chosen,
        })
    }

    /// The next row. `left` is the number of bytes that pictures may still have.
    fn row(&mut self, open: &Open<'_>, name: &str, left: &mut u64) -> Result<Content<'_>> {
        let mut captions = Captions::default();
        let mut flaw = None;
        for cells in &mut self.text {
            for caption in cells.next()? {
                if flaw.is_none() {
                    let text = text(caption.data(), "a caption");
                    flaw = text.and_then(|text| captions.add(text)).err();
                }
            }
        }
        let class = match &mut self.class {
            None => Ok(None),
            Some(labels) => {
                labels.next()?.map_or(Ok(None), |label| class(label, &self.chosen.names))
            }
        };
        let path = match &mut self.path {
            Some(path) => path.bytes()?.map(|path| printable(&String::from_utf8_lossy(path))),
            None => None,
        };
        let Some(bytes) = self.image.bytes()? else {
            let Some(path) = path.filter(|path| !path.is_empty()) else {
                return Ok(Content::NoPicture);
            };
            return Err(Error::malformed(
                open.path,
                "the file holds the paths of pictures, not the pictures",
                name.to_owned(),
                ("the bytes of a picture", format!("only where it was: {path}")),
                "write the dataset with its pictures in it, on the machine that has them: `push_to_hub`, or \
                 `dataset.with_format(\"arrow\").map(datasets.table.embed_table_storage, batched=True).to_parquet(FILE)`",
            ));
        };
        *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            let expected = "pictures of at most 20 times the size of the file";
            let what = "the file unpacks to too much";
            Error::malformed(open.path, what, name.to_owned(), (expected, "more"), AGAIN)
        })?;
        Ok(match (flaw, class) {
            (Some(flaw), _) | (None, Err(flaw)) => Content::Unusable(flaw),
            (None, Ok(class)) => {
                let captions = captions.into_all();
                Content::Sample(Sample { picture: Picture::Bytes(bytes), captions, class })
            }
        })
    }
}

fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|_| format!("{what} that is no UTF-8"))
}

/// The name of a class. A number below 0 is none, as in `datasets`.
fn class(label: Label<'_>, names: &[String]) -> Result<Option<String>, String> {
    match label {
        Label::Text(name) => sample::class(text(name, "a class")?),
        Label::Number(..0) => Ok(None),
        Label::Number(number) => {
            let named = usize::try_from(number).ok().and_then(|number| names.get(number));
            match (named.filter(|name| !name.is_empty()), names.len()) {
                (Some(name), _) => sample::class(name),
                (None, 0) => Ok(Some(number.to_string())),
                (None, known) => Err(format!("the class {number}, of {known} that have names")),
            }
        }
    }
}
