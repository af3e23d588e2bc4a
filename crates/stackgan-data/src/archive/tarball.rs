//! Tar archives, gzipped or not (POSIX 1003.1 "pax"; GNU tar manual, "Basic Tar Format").
//!
//! Headers are read one by one instead of being merged by the `tar` crate. The size of a long name
//! or a pax header is checked before it is read, and a header that contradicts the one it belongs
//! to is rejected, however other programs would read it.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType, PaxExtensions};

use super::sink::Sink;
use crate::error::printable;
use crate::{Error, Result};

/// Maximum size of a pax header or a long name, in bytes.
const EXTENSION: u64 = 64 << 10;
/// Maximum number of zero bytes after the last block.
const PADDING: u64 = 16 << 20;

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    None,
}

pub(super) fn unpack(
    path: &Path,
    packing: Packing,
    sink: &mut Sink<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    let read = Rc::new(Cell::new(0));
    let counted = Counted { file, read: Rc::clone(&read) };
    let buffered = BufReader::with_capacity(1 << 18, counted);
    let mut progress = || progress(read.get());
    match packing {
        Packing::Gzip => entries(MultiGzDecoder::new(buffered), sink, &mut progress),
        Packing::None => entries(buffered, sink, &mut progress),
    }
}

/// Writes the entries of an unpacked archive. `progress` is called after each.
fn entries(from: impl Read, sink: &mut Sink<'_>, progress: &mut dyn FnMut()) -> Result<()> {
    let mut archive = Archive::new(from);
    let mut next = Next::default();
    let mut headers = 0;
    let entries = archive.entries().map_err(|e| damaged(sink, &e))?;
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|e| damaged(sink, &e))?;
        headers += 1;
        sink.room_for(headers / 3)?; // an entry has at most a long name and a pax header
        let size = entry.header().entry_size().map_err(|e| damaged(sink, &e))?;
        let kind = entry.header().entry_type();
        let describes = matches!(kind, EntryType::GNULongName | EntryType::XHeader);
        let raw = match next.name.take() {
            Some(_) if describes => {
                return Err(sink.refuse(&entry.path_bytes(), "an entry with two names"));
            }
            Some(name) => name,
            None => entry.path_bytes().into_owned(),
        };
        match kind {
            EntryType::GNULongName => {
                let mut name = extension(sink, &raw, size, &mut entry)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                next.name = Some(name);
            }
            EntryType::XHeader => {
                let data = extension(sink, &raw, size, &mut entry)?;
                next = Next::read(sink, &raw, &data)?;
            }
            EntryType::Directory => {
                if size != 0 {
                    return Err(sink.refuse(&raw, "a folder with contents"));
                }
                sink.folder(&raw)?;
                next = Next::default();
            }
            EntryType::Regular => {
                if next.size.is_some_and(|claimed| claimed != size) {
                    return Err(sink.refuse(&raw, "two headers that differ in its size"));
                }
                if raw.ends_with(b"/") {
                    return Err(sink.refuse(&raw, "a file with the name of a folder"));
                }
                sink.file(&raw, size, &mut entry)?;
                next = Next::default();
            }
            kind => return Err(sink.refuse(&raw, format!("an entry of kind {kind:?}"))),
        }
        progress();
    }
    if next.name.is_some() || next.size.is_some() {
        return Err(sink.damaged("end", "a header without its entry"));
    }
    // Another program might read what follows the end mark, and the last bytes of a packed archive
    // hold gzip's checksum.
    let mut rest = archive.into_inner().take(PADDING);
    let mut piece = vec![0; 1 << 16];
    loop {
        let n = rest.read(&mut piece).map_err(|e| damaged(sink, &e))?;
        if n == 0 {
            break;
        }
        if piece.get(..n).unwrap_or_default().iter().any(|&byte| byte != 0) {
            return Err(sink.damaged("end", "more after the end of the archive"));
        }
    }
    if rest.limit() == 0 {
        return Err(sink.damaged("end", "endless zeros"));
    }
    progress();
    Ok(())
}

/// What preceding headers say about an entry.
#[derive(Default)]
struct Next {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Next {
    /// Reads a pax header. Times, owners and comments are ignored.
    fn read(sink: &Sink<'_>, raw: &[u8], data: &[u8]) -> Result<Self> {
        let mut next = Self::default();
        for record in PaxExtensions::new(data) {
            let record = record.map_err(|e| damaged(sink, &e))?;
            match record.key_bytes() {
                b"path" => next.name = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|text| text.parse().ok());
                    next.size = Some(size.ok_or_else(|| sink.refuse(raw, "a size that is none"))?);
                }
                b"linkpath" => return Err(sink.refuse(raw, "a link")),
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(sink.refuse(raw, "a file with holes"));
                }
                _ => {}
            }
        }
        Ok(next)
    }
}

fn extension(sink: &Sink<'_>, raw: &[u8], size: u64, from: &mut dyn Read) -> Result<Vec<u8>> {
    if size > EXTENSION {
        return Err(sink.refuse(raw, format!("a header of {size} bytes")));
    }
    let mut data = Vec::new();
    from.read_to_end(&mut data).map_err(|e| damaged(sink, &e))?;
    if data.len() as u64 != size {
        return Err(sink.damaged("header", "its end"));
    }
    Ok(data)
}

fn damaged(sink: &Sink<'_>, why: &io::Error) -> Error {
    sink.damaged("somewhere in it", printable(&why.to_string()))
}

/// A file that counts the bytes read from it.
struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}
