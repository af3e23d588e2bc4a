//! Zip archives, including those above 4 GiB (PKWARE's APPNOTE 6.3).
//!
//! The `zip` crate finds the entries and compares their two headers. They are decompressed here
//! with `flate2`, so that an entry never yields more than its claimed size.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::CrcReader;
use flate2::read::DeflateDecoder;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::sink::{Sink, place_of};
use crate::error::printable;
use crate::positional::read_exact_at;
use crate::{Error, Result};

/// Size of the end record without its comment, in bytes, and its signature.
const END_SIZE: u64 = 22;
const END: [u8; 4] = *b"PK\x05\x06";

/// The file-type bits of a Unix mode, and the accepted types.
const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

pub(super) fn unpack(
    path: &Path,
    length: u64,
    sink: &mut Sink<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    let reader = BufReader::with_capacity(1 << 18, file);
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, reader).map_err(|e| damaged(sink, &e))?;
    sink.room_for(archive.len())?;
    nothing_behind(path, length, archive.comment().len() as u64, sink)?;
    archive.validate_header_consistency().map_err(|e| damaged(sink, &e))?;
    let (mut claimed, mut first) = (0_u64, length);
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(|e| damaged(sink, &e))?;
        claimed = claimed.saturating_add(entry.size());
        first = first.min(entry.header_start());
    }
    sink.room_for_bytes(claimed)?;
    sink.room_on_disk(claimed)?;
    if first != 0 && !archive.is_empty() {
        return Err(sink.damaged("start", "other bytes before the first entry"));
    }
    let mut done = 0;
    for i in 0..archive.len() {
        let mut entry = archive.by_index_raw(i).map_err(|e| damaged(sink, &e))?;
        let raw = entry.name_raw().to_vec();
        let (size, packed, crc) = (entry.size(), entry.compressed_size(), entry.crc32());
        let kind = entry.unix_mode().unwrap_or(0) & KIND;
        let folder = raw.ends_with(b"/");
        if entry.encrypted() {
            return Err(sink.refuse(&raw, "an encrypted entry"));
        }
        if !(kind == 0 || kind == if folder { FOLDER } else { FILE }) {
            return Err(sink.refuse(&raw, format!("an entry of mode {kind:o}")));
        }
        if folder {
            if size != 0 {
                return Err(sink.refuse(&raw, "a folder with contents"));
            }
            sink.folder(&raw)?;
            continue;
        }
        let (sum, used) = match entry.compression() {
            CompressionMethod::STORE => {
                let mut bytes = CrcReader::new(&mut entry);
                sink.file(&raw, size, &mut bytes)?;
                (bytes.crc().sum(), packed)
            }
            CompressionMethod::DEFLATE => {
                let mut bytes = CrcReader::new(DeflateDecoder::new(&mut entry));
                sink.file(&raw, size, &mut bytes)?;
                (bytes.crc().sum(), bytes.get_ref().total_in())
            }
            method => return Err(sink.refuse(&raw, format!("an entry packed by {method:?}"))),
        };
        if sum != crc || used != packed {
            let found = format!("CRC-32 {sum:08x} of {used} bytes, not {crc:08x} of {packed}");
            return Err(sink.damaged(place_of(&raw), found));
        }
        done += packed;
        progress(done);
    }
    progress(length);
    Ok(())
}

/// Checks that the end record is at the end of the file: another program might read what follows
/// it.
fn nothing_behind(path: &Path, length: u64, comment: u64, sink: &Sink<'_>) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    let mut found = [0; 4];
    let at = length.saturating_sub(END_SIZE + comment);
    read_exact_at(&file, &mut found, at).map_err(|e| Error::read(path, e))?;
    if found == END {
        return Ok(());
    }
    Err(sink.damaged("end", "more after the end of the archive"))
}

fn damaged(sink: &Sink<'_>, why: &ZipError) -> Error {
    sink.damaged("its directory", printable(&why.to_string()))
}
