//! Zip archives as torch and numpy write them.
//!
//! Entries are stored or deflated, checked by CRC-32, and found through the central directory
//! (PKWARE's APPNOTE 6.3, 4.3), including that of Zip64: more than 65,535 entries, or 4 GiB and
//! more. Encryption and split archives are not supported. Entries must not overlap and must have
//! different names, so an archive holds no more than its bytes.

use super::budget::Budget;
use super::cursor::Cursor;
use super::fault::{Fault, Step};
use super::inflate;
use crate::error::printable;
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::borrow::Cow;

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
/// Signatures of Zip64: the end record, and the locator that says where it is.
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR: &[u8; 4] = b"PK\x06\x07";
/// The extra field with an entry's 8-byte numbers.
const EXTRA64: u16 = 1;
/// Sizes in bytes: the end record without its comment, Zip64's end record, its locator, and a local
/// header without names.
const END_SIZE: usize = 22;
const END64_SIZE: usize = 56;
const LOCATOR_SIZE: usize = 20;
const LOCAL_SIZE: usize = 30;

/// Whether `bytes` begin like a zip archive.
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
    /// The offset of its local header.
    offset: usize,
}

/// An archive whose directory has been checked.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry<'a>>,
    /// Indices of the entries, sorted by name.
    by_name: Vec<u32>,
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
        // Readers differ in which of two entries with one name they use.
        entries.sort_unstable_by(|one, other| one.name.cmp(other.name));
        let mut neighbours = entries.iter().zip(entries.iter().skip(1));
        if let Some((twice, _)) = neighbours.find(|(one, other)| one.name == other.name) {
            let found = format!("two named `{}`", printable(&String::from_utf8_lossy(twice.name)));
            return directory.fault("archive is malformed", "entries of different names", found);
        }
        // In the order of the file, so that each entry can be checked against the next.
        entries.sort_unstable_by_key(|entry| entry.offset);
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
        let mut by_name = Vec::new();
        if !budget.reserve(&mut by_name, entries.len()) {
            return Err(Fault::too_large(directory.offset()));
        }
        by_name.extend((0u32..).take(entries.len()));
        by_name.sort_unstable_by_key(|&at| entries.get(at as usize).map(|entry| entry.name));
        Ok(Self { bytes, entries, by_name })
    }

    pub(crate) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The entry with this name.
    pub(crate) fn named(&self, name: &[u8]) -> Option<&Entry<'a>> {
        let entry = |at: &u32| self.entries.get(*at as usize);
        let found = self.by_name.binary_search_by_key(&Some(name), |at| entry(at).map(|e| e.name));
        self.by_name.get(found.ok()?).and_then(entry)
    }

    /// The first entry whose name `matches`.
    pub(crate) fn find(&self, matches: impl Fn(&[u8]) -> bool) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| matches(entry.name))
    }

    /// The contents of an entry and their offset in the file; borrowed if they are uncompressed.
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
        local.take(22)?; // also in the directory
        let names = usize::from(local.u16()?) + usize::from(local.u16()?);
        local.take(names)?;
        let offset = local.offset();
        let raw = local.take(entry.compressed)?;
        let contents = match entry.method {
            0 if entry.compressed == entry.size => Cow::Borrowed(raw),
            8 => {
                let mut stream = DeflateDecoder::new(raw);
                let contents = inflate::take(&mut stream, entry.size, offset, budget)?;
                inflate::finish(&mut stream, offset)?;
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

/// Number of entries, and offset and size of the directory.
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
            match end_record_64(bytes, first + at)? {
                Some(numbers) => return Ok(numbers),
                None if start != u32::MAX && size != u32::MAX => {} // 65,535 entries
                None => {
                    let pair = ("the end record of Zip64 in front of this one", "none");
                    return Err(Fault::new(first + at, "archive is malformed", pair));
                }
            }
        }
        return Ok((count.into(), start as usize, size as usize));
    }
    let pair = ("a zip archive's end record", "none: the file is cut, or not an archive");
    Err(Fault::new(bytes.len(), "archive is not whole", pair))
}

/// Number of entries, and offset and size of the directory, from Zip64's end record. Its locator
/// precedes the end record at `end`; `None` if there is no locator.
fn end_record_64(bytes: &[u8], end: usize) -> Step<Option<(usize, usize, usize)>> {
    let Some(before) = end.checked_sub(LOCATOR_SIZE) else { return Ok(None) };
    let mut locator = Cursor::new(bytes);
    locator.take(before)?;
    if locator.take(4)? != LOCATOR {
        return Ok(None);
    }
    locator.take(4)?; // disk
    let place = locator.size()?;
    let mut record = Cursor::new(bytes.get(..before).unwrap_or_default());
    record.take(place)?;
    if record.left() < END64_SIZE || record.take(4)? != END64 {
        return record.fault("archive is malformed", "the end record of Zip64", "other bytes");
    }
    record.take(20)?; // its length, versions, disks
    let (here, count) = (record.size()?, record.size()?);
    let (size, start) = (record.size()?, record.size()?);
    let inside = start.checked_add(size).is_some_and(|end| end <= place);
    if here != count || !inside {
        let expected = "a directory in front of its end record";
        return record.fault("archive is malformed", expected, "another place, or several disks");
    }
    Ok(Some((count, start, size)))
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
    let (compressed, size) = (directory.u32()?, directory.u32()?);
    let (name, extra) = (directory.u16()?, directory.u16()?);
    let comment = directory.u16()?;
    directory.take(8)?; // disk, attributes
    let offset = directory.u32()?;
    let name = directory.take(name.into())?;
    // In this order, those that do not fit in 4 bytes.
    let [size, compressed, offset] =
        numbers_64(directory.part(extra.into())?, [size, compressed, offset])?;
    directory.take(comment.into())?;
    if flags & 1 != 0 {
        return directory.fault("archive entry is not supported", "plain data", "encryption");
    }
    Ok(Entry { name, method, crc, compressed, size, offset })
}

/// The numbers of an entry. Those with all bits set are taken from the extra field of Zip64, in
/// order.
fn numbers_64(mut extra: Cursor<'_>, numbers: [u32; 3]) -> Step<[usize; 3]> {
    let mut out = numbers.map(|number| number as usize);
    if !numbers.contains(&u32::MAX) {
        return Ok(out);
    }
    while extra.left() >= 4 {
        let (kind, length) = (extra.u16()?, extra.u16()?);
        let mut field = extra.part(length.into())?;
        if kind == EXTRA64 {
            for (out, number) in out.iter_mut().zip(numbers) {
                if number == u32::MAX {
                    *out = field.size()?;
                }
            }
            return Ok(out);
        }
    }
    extra.fault("archive is malformed", "the field of Zip64 of an entry", "none")
}

#[cfg(test)]
mod tests;
