//! The container of torch up to 1.5.
//!
//! It holds a magic number, a version, facts about the machine, the object and the list of storage
//! keys, each as a pickle. Then for each key come a count and the elements, little-endian. Source:
//! `torch.serialization`.

use super::stored::{ENTRY, Stored, key};
use crate::error::printable;
use crate::formats::budget::Budget;
use crate::formats::cursor::Cursor;
use crate::formats::fault::{Fault, Step};
use crate::formats::pickle::{self, Document, Value};
use std::collections::BTreeMap;

/// The pickle of the magic number, 0x1950a86a20f9469cfc6c.
pub(super) const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The version of the stream; there has only been one.
const VERSION: i64 = 1001;

/// Splits a stream into its parts.
pub(super) fn read(bytes: &[u8], budget: Budget) -> Step<Stored<'_>> {
    let mut cursor = Cursor::new(bytes);
    cursor.take(MAGIC.len())?;
    let place = cursor.clone();
    let (version, budget) = next(&mut cursor, budget)?;
    if version.root() != &Value::Int(VERSION) {
        let found = version.root().kind();
        return place.fault("unknown version of .pth", VERSION.to_string(), found);
    }
    // Word sizes and byte order of the machine that saved the file; storages are little-endian in
    // any case.
    let (_, budget) = next(&mut cursor, budget)?;
    let offset = cursor.offset();
    let (document, budget) = next(&mut cursor, budget)?;
    let place = cursor.clone();
    let (keys, mut budget) = next(&mut cursor, budget)?;
    let sizes = sizes(&document, offset, &mut budget)?;
    let Value::List(ids) = keys.root() else {
        return place.fault("list of storages is malformed", "a list", keys.root().kind());
    };
    let mut storages = BTreeMap::new();
    for &id in ids {
        let key = key(&keys, id);
        let count = cursor.i64()?;
        let size = sizes.get(key).copied().zip(usize::try_from(count).ok());
        let Some(size) = size.and_then(|(size, count)| size.checked_mul(count)) else {
            let found = format!("{count} of `{}`", printable(&String::from_utf8_lossy(key)));
            return cursor.fault("storage is malformed", "elements of a known storage", found);
        };
        if !budget.charge(ENTRY + key.len()) {
            return Err(Fault::too_large(cursor.offset()));
        }
        storages.insert(key.to_vec(), cursor.take(size)?);
    }
    if cursor.left() > 0 {
        let found = format!("{} more bytes", cursor.left());
        return cursor.fault("data after the end", "storages and nothing else", found);
    }
    Ok(Stored { document, offset, storages, big_endian: false, room: budget.left() })
}

/// The next pickle, and the remaining memory.
fn next<'a>(cursor: &mut Cursor<'a>, budget: Budget) -> Step<(Document<'a>, Budget)> {
    let offset = cursor.offset();
    let inside = |fault: Fault| Fault { offset: offset + fault.offset, ..fault };
    let (document, end) = pickle::decode_torch(cursor.rest(), budget).map_err(inside)?;
    cursor.take(end)?;
    let left = Budget::of(document.room());
    Ok((document, left))
}

/// The element size in bytes of each storage.
fn sizes<'d>(
    document: &'d Document<'_>,
    offset: usize,
    budget: &mut Budget,
) -> Step<BTreeMap<&'d [u8], usize>> {
    let mut sizes = BTreeMap::new();
    for value in document.values() {
        let Value::Storage(storage) = value else { continue };
        let size = storage.dtype.bytes();
        match sizes.insert(key(document, storage.key), size) {
            None if !budget.charge(ENTRY) => return Err(Fault::too_large(offset)),
            Some(other) if other != size => {
                let pair = ("one type for each storage", "two");
                return Err(Fault::new(offset, "storage is malformed", pair));
            }
            _ => {}
        }
    }
    Ok(sizes)
}
