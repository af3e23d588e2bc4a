//! Opens a Parquet file: its metadata, and the pages of one column of a group of rows, whose
//! declared sizes are checked before anything is unpacked.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy,
};
use parquet::file::reader::SerializedPageReader;

use super::boundary::{AGAIN, caught};
use super::thrift::{self, Flaw, PageKind};
use crate::archive::may_unpack_to;
use crate::error::printable;
use crate::positional::read_exact_at;
use crate::{Error, Result};

/// The first and the last bytes of a file.
const MARK: &[u8; 4] = b"PAR1";
/// The last bytes of an encrypted one.
const ENCRYPTED: &[u8; 4] = b"PARE";

/// Maximum length of the metadata, in bytes.
const FOOTER: u64 = 16 << 20;
/// Maximum length of the header of a page, in bytes, and how much is read at first.
const HEADER: u64 = 1 << 20;
const GUESS: u64 = 4096;

/// Maximum size of an unpacked page, in bytes.
const PAGE: u64 = 1 << 30;
/// Maximum number of values in the lists of one group of rows.
const LISTED: u64 = 1 << 20;

/// An open file with its metadata.
#[derive(Debug)]
pub(super) struct Open<'a> {
    pub(super) path: &'a Path,
    pub(super) length: u64,
    pub(super) metadata: ParquetMetaData,
    file: Arc<File>,
}

impl<'a> Open<'a> {
    pub(super) fn new(path: &'a Path) -> Result<Self> {
        let read = |e| Error::read(path, e);
        let file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let refuse = |place: &str, expected: &str, found: String| {
            Error::malformed(path, "this is no whole Parquet file", place, (expected, found), AGAIN)
        };
        let (mut start, mut end) = ([0; 4], [0; 8]);
        if length < 12 {
            return Err(refuse("whole file", "12 bytes or more", format!("{length} bytes")));
        }
        read_exact_at(&file, &mut start, 0).map_err(read)?;
        read_exact_at(&file, &mut end, length - 8).map_err(read)?;
        let [a, b, c, d, mark @ ..] = end;
        if start != *MARK || mark != *MARK {
            let found = match &mark {
                ENCRYPTED => "an encrypted file".to_owned(),
                _ => "other bytes: a file that is cut off, or of another format".to_owned(),
            };
            return Err(refuse("start and end", "the letters PAR1", found));
        }
        let size = u64::from(u32::from_le_bytes([a, b, c, d]));
        if size > FOOTER.min(length - 12) {
            let found = format!("{size} bytes of it in a file of {length}");
            return Err(refuse("end", "metadata of at most 16 MiB in the file", found));
        }
        let mut footer = vec![0; size as usize];
        read_exact_at(&file, &mut footer, length - 8 - size).map_err(read)?;
        thrift::check_footer(&footer)
            .map_err(|Flaw { expected, found }| refuse("metadata", expected, found))?;
        let mut options = ParquetMetaDataOptions::new();
        options.set_column_stats_policy(ParquetStatisticsPolicy::SkipAll);
        options.set_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
        options.set_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let read = || ParquetMetaDataReader::decode_metadata_with_options(&footer, Some(&options));
        let metadata = caught(read)
            .map_err(|e| refuse("metadata", "whole metadata", printable(&e.to_string())))?;
        Ok(Self { path, length, metadata, file: Arc::new(file) })
    }

    /// The pages of a column of a group of rows, after a check of what they claim.
    pub(super) fn pages(&self, group: usize, column: usize) -> Result<Box<dyn PageReader>> {
        let of = self.metadata.row_groups().get(group);
        let rows = of.map_or(0, |of| of.num_rows());
        let chunk = of.and_then(|of| of.columns().get(column)).ok_or_else(|| {
            self.damaged(group, "its columns", "those of the file", "fewer".to_owned())
        })?;
        let name = chunk.column_path().string();
        self.check(chunk)
            .map_err(|(expected, found)| self.damaged(group, &name, expected, found))?;
        let rows = usize::try_from(rows).unwrap_or(0);
        let file = Arc::clone(&self.file);
        let pages = caught(|| SerializedPageReader::new(file, chunk, rows, None));
        let pages = pages.map_err(|e| self.unreadable(group, &name, &e))?;
        Ok(Box::new(pages))
    }

    /// The error of the crate about a column of a group of rows.
    pub(super) fn unreadable(&self, group: usize, column: &str, error: &ParquetError) -> Error {
        self.damaged(group, column, "whole pages", printable(&error.to_string()))
    }

    /// The error about a column of a group of rows.
    pub(super) fn damaged(
        &self,
        group: usize,
        column: &str,
        expected: &str,
        found: String,
    ) -> Error {
        let place = format!("row group {group}, column {}", printable(column));
        let (what, remedy) = match expected {
            PACKED | thrift::PLAIN => ("the columns are stored in a way that is not read", REWRITE),
            _ => ("the file is damaged", AGAIN),
        };
        Error::malformed(self.path, what, place, (expected, found), remedy)
    }

    /// Walks the headers of the pages of a column chunk.
    fn check(&self, chunk: &ColumnChunkMetaData) -> Result<(), (&'static str, String)> {
        match chunk.compression() {
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {}
            other => {
                let name = other.to_string();
                let name = name.split('(').next().unwrap_or_default();
                return Err((PACKED, format!("pages packed by {name}")));
            }
        }
        let first = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
        let (first, size) = (u64::try_from(first), u64::try_from(chunk.compressed_size()));
        let place = first.ok().zip(size.ok()).and_then(|(first, size)| {
            let end = first.checked_add(size)?;
            (end <= self.length - 8).then_some((first, end))
        });
        let Some((mut at, end)) = place else {
            let found = format!("{} bytes from {first:?}", chunk.compressed_size());
            return Err(("a column within the file", found));
        };
        let (mut listed, is_list) = (0_u64, chunk.column_descr().max_rep_level() > 0);
        while at < end {
            let page = self.header(at, end)?;
            let (packed, unpacked) = (page.packed, page.unpacked);
            at += page.header as u64;
            if packed > end - at {
                return Err(("a page within its column", format!("{packed} bytes")));
            }
            if unpacked > PAGE.min(may_unpack_to(packed)) {
                let expected = "a page of at most 1 GiB and 20 times its size in the file";
                return Err((expected, format!("{unpacked} bytes, of {packed}")));
            }
            if page.kind == PageKind::Dictionary && page.values > unpacked / 4 {
                let found = format!("{} in {unpacked} bytes", page.values);
                return Err(("no more values than fit into the dictionary", found));
            }
            listed += page.values;
            if is_list && listed > LISTED {
                let expected = "at most 1048576 values in the lists of a group of rows";
                return Err((expected, "more".to_owned()));
            }
            at += packed;
        }
        Ok(())
    }

    /// The header of the page at `at`.
    fn header(&self, at: u64, end: u64) -> Result<thrift::Page, (&'static str, String)> {
        let mut bytes = Vec::new();
        let most = HEADER.min(end - at);
        for size in [GUESS.min(most), most] {
            bytes.resize(size as usize, 0);
            let read = read_exact_at(&self.file, &mut bytes, at);
            read.map_err(|e| ("pages that can be read", printable(&e.to_string())))?;
            match thrift::page(&bytes) {
                Err(Flaw { expected: thrift::ENDS, .. }) if size < most => {}
                Err(Flaw { expected, found }) => return Err((expected, found)),
                Ok(page) => return Ok(page),
            }
        }
        Err((thrift::ENDS, "a header of more than 1 MiB".to_owned()))
    }
}

/// What is expected of the compression of pages.
const PACKED: &str = "pages that are packed by snappy or zstd, or not at all";

const REWRITE: &str = "write the file again, with pyarrow's defaults for example: \
                       pyarrow.parquet.write_table(pyarrow.parquet.read_table(FILE), NEW)";
