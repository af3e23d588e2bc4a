//! The container of torch 1.6 and later: a zip archive of uncompressed entries in one folder:
//! `data.pkl`, the storages as `data/KEY`, and since torch 2.0 `byteorder`.

use super::stored::{ENTRY, Stored};
use crate::formats::budget::Budget;
use crate::formats::fault::{Fault, Step};
use crate::formats::pickle;
use crate::formats::zip::{Archive, Entry};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Splits an archive into its parts. Every storage is checked by its CRC-32.
pub(super) fn read(bytes: &[u8], mut budget: Budget) -> Step<Stored<'_>> {
    let archive = Archive::open(bytes, &mut budget)?;
    let missing = |found: &str| {
        let pair = ("data.pkl, as torch.save writes it", found);
        Fault::new(0, "archive holds no tensors", pair)
    };
    if archive.find(|name| name.ends_with(b"/constants.pkl")).is_some() {
        return Err(missing("TorchScript: save the state dict instead"));
    }
    let is_pickle = |name: &[u8]| name.strip_suffix(b"data.pkl").is_some_and(is_folder);
    let pickled = archive.find(is_pickle).ok_or_else(|| missing("other entries"))?;
    let folder = pickled.name.strip_suffix(b"data.pkl").unwrap_or_default();
    let (offset, object) = contents(&archive, pickled, &mut budget)?;
    let order = archive.find(|name| name.strip_prefix(folder) == Some(b"byteorder"));
    let big_endian = match order.map(|entry| contents(&archive, entry, &mut budget)).transpose()? {
        None => false,
        Some((_, b"little")) => false,
        Some((_, b"big")) => true,
        Some((at, _)) => {
            let pair = ("little or big", "another word");
            return Err(Fault::new(at, "byte order is not known", pair));
        }
    };
    let mut storages = BTreeMap::new();
    for entry in archive.entries() {
        let key = entry.name.strip_prefix(folder).and_then(|name| name.strip_prefix(b"data/"));
        if let Some(key) = key {
            let (at, numbers) = contents(&archive, entry, &mut budget)?;
            if !budget.charge(ENTRY + key.len()) {
                return Err(Fault::too_large(at));
            }
            storages.insert(key.to_vec(), numbers);
        }
    }
    let inside = |fault: Fault| Fault { offset: offset + fault.offset, ..fault };
    let (document, end) = pickle::decode_torch(object, budget).map_err(inside)?;
    if end != object.len() {
        let pair = ("one pickle and nothing else", format!("{} more bytes", object.len() - end));
        return Err(Fault::new(offset + end, "data after the end", pair));
    }
    let room = document.room();
    Ok(Stored { document, offset, storages, big_endian, room })
}

/// The offset and the bytes of an entry, which must be uncompressed.
fn contents<'a>(
    archive: &Archive<'a>,
    entry: &Entry<'a>,
    budget: &mut Budget,
) -> Step<(usize, &'a [u8])> {
    match archive.read(entry, budget)? {
        (at, Cow::Borrowed(contents)) => Ok((at, contents)),
        (at, Cow::Owned(_)) => {
            let pair = ("an entry stored as it is", "a deflated one: pack it without compression");
            Err(Fault::new(at, "archive entry is not supported", pair))
        }
    }
}

/// Whether a name is a folder at the top of the archive.
fn is_folder(name: &[u8]) -> bool {
    matches!(name, [inner @ .., b'/'] if !inner.contains(&b'/'))
}
