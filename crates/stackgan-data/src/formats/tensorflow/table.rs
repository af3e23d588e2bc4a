//! A sorted table of keys and values in blocks, as `LevelDB` writes it
//! (`tensorflow/core/lib/io/table_format.txt`).
//!
//! At the end of the file are 48 bytes: the places of two tables of blocks, and a magic number. In a
//! block a key is told by how much of its beginning is that of the key before.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::super::budget::Budget;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Step};
use super::message::varint;
use super::variable::{MAX_NAME, REMEDY};
use crate::positional::read_exact_at;
use crate::{Error, Result};

/// The last eight bytes of a table.
const MAGIC: [u8; 8] = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
/// Bytes of the end with the places.
const FOOTER: usize = 48;
/// Bytes behind each block: how it is compressed, and its sum.
const TRAILER: usize = 5;

/// Bytes of the smallest block: one place at which keys begin, and how many such places there are.
const SMALLEST: usize = 8;
/// Bytes of the largest block. A value has at most as many: its length is a number of 32 bits.
const LARGEST: usize = 1 << 32;

/// Bytes of the largest index, of some millions of blocks.
const LARGEST_INDEX: usize = 1 << 27;

/// The most bytes of a key: a name with some marks around it.
const MAX_KEY: usize = 2 * MAX_NAME;

/// An open table.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    file: File,
    length: usize,
    blocks: Vec<Place>,
}

/// Where a block is, without its trailer.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: usize,
    size: usize,
}

impl Place {
    fn read(cursor: &mut Cursor<'_>) -> Step<Self> {
        let mut number = || Ok(usize::try_from(varint(cursor)?).unwrap_or(usize::MAX));
        Ok(Self { offset: number()?, size: number()? })
    }
}

impl Table {
    /// Opens a table and reads where its blocks are. Returns `None` if the file does not end as one.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        // Before it is opened: a pipe would be waited for.
        let meta = std::fs::metadata(path).map_err(|e| Error::read(path, e))?;
        let length = usize::try_from(meta.len()).unwrap_or(0);
        if !meta.is_file() || length < FOOTER {
            return Ok(None);
        }
        let file = File::open(path).map_err(|e| Error::read(path, e))?;
        let mut table = Self { path: path.to_owned(), file, length, blocks: Vec::new() };
        let footer = table.bytes(Place { offset: length - FOOTER, size: FOOTER })?;
        if !footer.ends_with(&MAGIC) {
            return Ok(None);
        }
        let mut footer = Cursor::new_at(&footer, length - FOOTER);
        let index = Place::read(&mut footer).and_then(|_| Place::read(&mut footer));
        let index = index.map_err(|fault| table.error(fault))?;
        if index.size > LARGEST_INDEX {
            let pair = (format!("at most {LARGEST_INDEX} bytes"), index.size.to_string());
            return Err(table.error(Fault::new(index.offset, "size of the index", pair)));
        }
        let mut blocks = Vec::new();
        let mut budget = Budget::of(15 << 20);
        let mut end = 0;
        table.visit_block(index, |_, value| {
            let place = Place::read(&mut value.clone())?;
            // Blocks follow each other: a short table cannot name one long block again and again.
            if place.offset < end || place.size < SMALLEST {
                let expected = format!("a block from byte {end} on");
                let found = format!("{} bytes from byte {} on", place.size, place.offset);
                return value.fault("order of blocks", expected, found);
            }
            end = place.offset.saturating_add(place.size).saturating_add(TRAILER);
            if !budget.reserve(&mut blocks, 1) {
                return Err(Fault::too_large(place.offset));
            }
            blocks.push(place);
            Ok(())
        })?;
        table.blocks = blocks;
        Ok(Some(table))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn blocks(&self) -> Range<usize> {
        0..self.blocks.len()
    }

    /// Shows the keys and values of these blocks, in their order.
    pub(super) fn visit(
        &self,
        blocks: Range<usize>,
        mut each: impl FnMut(&[u8], Cursor<'_>) -> Step<()>,
    ) -> Result<()> {
        let blocks = self.blocks.get(blocks).unwrap_or_default();
        blocks.iter().try_for_each(|place| self.visit_block(*place, &mut each))
    }

    fn visit_block(
        &self,
        place: Place,
        each: impl FnMut(&[u8], Cursor<'_>) -> Step<()>,
    ) -> Result<()> {
        let whole = Place { size: place.size.saturating_add(TRAILER), ..place };
        let bytes = self.bytes(whole)?;
        entries(&bytes, place.offset, each).map_err(|fault| self.error(fault))
    }

    fn bytes(&self, place: Place) -> Result<Vec<u8>> {
        if place.offset.checked_add(place.size).is_none_or(|end| end > self.length) {
            let pair = (format!("{} bytes", place.size), "the file's end");
            return Err(self.error(Fault::new(place.offset, "file ends early", pair)));
        }
        if place.size > LARGEST {
            let pair = (format!("at most {LARGEST} bytes"), place.size.to_string());
            return Err(self.error(Fault::new(place.offset, "size of a block", pair)));
        }
        let mut bytes = vec![0; place.size];
        let read = read_exact_at(&self.file, &mut bytes, place.offset as u64);
        read.map_err(|e| Error::read(&self.path, e))?;
        Ok(bytes)
    }

    pub(super) fn error(&self, fault: Fault) -> Error {
        fault.in_file(&self.path, self.length, REMEDY)
    }
}

/// Shows the entries of a block with its trailer, after its sum has been compared.
fn entries(
    bytes: &[u8],
    offset: usize,
    mut each: impl FnMut(&[u8], Cursor<'_>) -> Step<()>,
) -> Step<()> {
    let (summed, said) = bytes.split_at(bytes.len().saturating_sub(4));
    let found = masked(crc32c::crc32c(summed));
    if found.to_le_bytes() != *said {
        let pair = ("a block with the sum behind it", format!("one with {found:08x}"));
        return Err(Fault::new(offset, "damaged block", pair));
    }
    let Some((&compression, block)) = summed.split_last() else { return Ok(()) };
    if compression != 0 {
        let pair = ("a block that is not compressed", format!("compression {compression}"));
        return Err(Fault::new(offset, "compressed block", pair));
    }
    // Behind the entries are the places at which keys begin anew, and how many they are.
    let mut cursor = Cursor::new_at(block, offset);
    let count = block.last_chunk().map_or(0, |count| u32::from_le_bytes(*count) as usize);
    let restarts = count.saturating_add(1).saturating_mul(4);
    let Some(length) = cursor.left().checked_sub(restarts) else {
        return cursor.fault("damaged block", "places of keys", format!("{count} of them"));
    };
    let mut cursor = cursor.part(length)?;
    let mut key: Vec<u8> = Vec::new();
    while cursor.left() > 0 {
        let mut number = || varint(&mut cursor).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let (shared, rest, value) = (number()?, number()?, number()?);
        if shared > key.len() {
            let expected = format!("at most {} bytes of the key before", key.len());
            return cursor.fault("damaged block", expected, shared.to_string());
        }
        if shared.saturating_add(rest) > MAX_KEY {
            return cursor.fault("key is too long", format!("at most {MAX_KEY} bytes"), "more");
        }
        key.truncate(shared);
        key.extend_from_slice(cursor.take(rest)?);
        each(&key, cursor.part(value)?)?;
    }
    Ok(())
}

/// A sum as it is stored: a sum of bytes that hold sums says little, so it is changed.
pub(super) const fn masked(sum: u32) -> u32 {
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}
