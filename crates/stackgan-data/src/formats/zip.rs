//! Zip archives as torch and numpy write them: entries stored or deflated, checked by CRC-32, found through the
//! directory at the end (PKWARE's APPNOTE 6.3, 4.3). No encryption, no parts of 4 GiB; entries do not overlap and have
//! different names, so an archive holds no more than its bytes.

use super::budget::Budget;
use super::cursor::Cursor;
use super::fault::{Fault, Step};
use super::inflate::{Inflater, Wrapper};
use crate::error::printable;
use flate2::Crc;
use std::borrow::Cow;

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
/// Bytes of the end record without its comment, and of a local header without names.
const END_SIZE: usize = 22;
const LOCAL_SIZE: usize = 30;

/// Whether `bytes` begin as a zip archive.
pub(crate) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(LOCAL)
}

/// One file of an archive.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Its path, as stored.
    pub(crate) name: &'a [u8],
    method: u16,
    crc: u32,
    compressed: usize,
    size: usize,
    /// Where its local header begins.
    offset: usize,
}

/// An archive whose directory has been checked.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry<'a>>,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(bytes: &'a [u8], budget: &mut Budget) -> Step<Self> {
        let (count, start, size) = end_record(bytes)?;
        let mut directory = Cursor::new(bytes);
        directory.take(start)?;
        let mut directory = directory.part(size)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let entry = central(&mut directory)?;
            if !budget.reserve(&mut entries, 1) {
                return Err(Fault::too_large(directory.offset()));
            }
            entries.push(entry);
        }
        // Readers differ in which of two entries of one name they take.
        entries.sort_unstable_by(|one, other| one.name.cmp(other.name));
        let mut neighbours = entries.iter().zip(entries.iter().skip(1));
        if let Some((twice, _)) = neighbours.find(|(one, other)| one.name == other.name) {
            let found = format!("two named `{}`", printable(&String::from_utf8_lossy(twice.name)));
            return directory.fault("archive is malformed", "entries of different names", found);
        }
        // In the order of the file, so that each may be checked against the next.
        entries.sort_by_key(|entry| entry.offset);
        let ends = entries.iter().skip(1).map(|next| next.offset).chain([start]);
        for (entry, next) in entries.iter().zip(ends) {
            let end = entry.offset.saturating_add(LOCAL_SIZE).saturating_add(entry.compressed);
            if end > next {
                return directory.fault(
                    "archive is malformed",
                    "entries one after the other",
                    "entries that overlap",
                );
            }
        }
        Ok(Self { bytes, entries })
    }

    pub(crate) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The first entry whose name `matches`.
    pub(crate) fn find(&self, matches: impl Fn(&[u8]) -> bool) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| matches(entry.name))
    }

    /// The contents of an entry and their place in the file; borrowed where they are stored as they are.
    pub(crate) fn read(
        &self,
        entry: &Entry<'a>,
        budget: &mut Budget,
    ) -> Step<(usize, Cow<'a, [u8]>)> {
        let mut local = Cursor::new(self.bytes);
        local.take(entry.offset)?;
        if local.take(4)? != LOCAL {
            return local.fault("archive is malformed", "a local header", "other bytes");
        }
        local.take(22)?; // what the directory says too
        let names = usize::from(local.u16()?) + usize::from(local.u16()?);
        local.take(names)?;
        let offset = local.offset();
        let raw = local.take(entry.compressed)?;
        let contents = match entry.method {
            0 if entry.compressed == entry.size => Cow::Borrowed(raw),
            8 => {
                let mut stream = Inflater::new(raw, offset, Wrapper::None);
                let contents = stream.take(entry.size, budget)?;
                stream.finish()?;
                Cow::Owned(contents)
            }
            method => {
                let found = format!("method {method}, {} bytes", entry.compressed);
                return local.fault(
                    "archive entry is not supported",
                    "an entry stored or deflated",
                    found,
                );
            }
        };
        let mut crc = Crc::new();
        crc.update(&contents);
        if crc.sum() == entry.crc {
            return Ok((offset, contents));
        }
        let found = format!("{:08x}", crc.sum());
        local.fault("archive entry is damaged", format!("CRC-32 {:08x}", entry.crc), found)
    }
}

/// Entries, start and size of the directory.
fn end_record(bytes: &[u8]) -> Step<(usize, usize, usize)> {
    let last = bytes.len().saturating_sub(END_SIZE);
    let first = last.saturating_sub(usize::from(u16::MAX));
    let window = bytes.get(first..).unwrap_or_default();
    for at in (0..window.len().saturating_sub(END_SIZE - 1)).rev() {
        let mut record = Cursor::new(window.get(at..).unwrap_or_default());
        if record.take(4)? != END {
            continue;
        }
        record.take(6)?; // disks
        let count = record.u16()?;
        let (size, start, comment) = (record.u32()?, record.u32()?, record.u16()?);
        if usize::from(comment) != record.left() {
            continue;
        }
        if count == u16::MAX || start == u32::MAX || size == u32::MAX {
            let pair = ("an archive of less than 4 GiB", "a Zip64 archive");
            return Err(Fault::new(first + at, "archive is too large", pair));
        }
        return Ok((count.into(), start as usize, size as usize));
    }
    let pair = ("a zip archive's end record", "none: the file is cut, or not an archive");
    Err(Fault::new(bytes.len(), "archive is not whole", pair))
}

fn central<'a>(directory: &mut Cursor<'a>) -> Step<Entry<'a>> {
    if directory.take(4)? != CENTRAL {
        return directory.fault("archive is malformed", "an entry of its directory", "other bytes");
    }
    directory.take(4)?; // versions
    let flags = directory.u16()?;
    let method = directory.u16()?;
    directory.take(4)?; // time
    let crc = directory.u32()?;
    let (compressed, size) = (directory.u32()? as usize, directory.u32()? as usize);
    let (name, extra) = (directory.u16()?, directory.u16()?);
    let comment = directory.u16()?;
    directory.take(8)?; // disk, attributes
    let offset = directory.u32()? as usize;
    let name = directory.take(name.into())?;
    directory.take(usize::from(extra) + usize::from(comment))?;
    if flags & 1 != 0 {
        return directory.fault("archive entry is not supported", "plain data", "encryption");
    }
    Ok(Entry { name, method, crc, compressed, size, offset })
}
