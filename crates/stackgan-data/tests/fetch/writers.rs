//! Archives written field by field, so that each field can be wrong. The tests of the program also
//! use them.
#![allow(dead_code, reason = "each of the programs that include this uses a part of it")]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

/// Compresses with gzip.
pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Returns a tar entry: header and padded contents.
pub(crate) fn entry(kind: u8, name: &[u8], contents: &[u8]) -> Vec<u8> {
    sized(kind, name, contents.len() as u64, contents)
}

/// Returns a tar entry that claims a length of `size` bytes.
pub(crate) fn sized(kind: u8, name: &[u8], size: u64, contents: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0004777\0"); // setuid, in case a reader applies it
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[156] = kind;
    header[157..168].copy_from_slice(b"/etc/passwd"); // where a link would lead
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut out = header.to_vec();
    out.extend_from_slice(contents);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

/// Returns a pax header with these records.
pub(crate) fn pax(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        text.push_str(&format!("{length} {key}={value}\n"));
    }
    entry(kind, b"PaxHeaders/x", text.as_bytes())
}

/// Returns a gzipped tar archive of these entries, with its end mark.
pub(crate) fn tgz(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.extend_from_slice(&[0; 1024]);
    gz(&tar)
}

/// An entry of a zip archive. Wrong values are set after [`Zipped::new`].
#[derive(Clone)]
pub(crate) struct Zipped {
    /// The name in the directory, and in the local header.
    pub(crate) names: [Vec<u8>; 2],
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed: Vec<u8>,
    /// The claimed length.
    pub(crate) size: u32,
    pub(crate) mode: u32,
    /// Shifts the position in the directory.
    pub(crate) shift: i64,
}

impl Zipped {
    /// Returns a correct deflated file.
    pub(crate) fn new(name: &[u8], contents: &[u8]) -> Self {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        packed.write_all(contents).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(contents);
        Self {
            names: [name.to_vec(), name.to_vec()],
            flags: 1 << 11, // names in UTF-8
            method: 8,
            crc: crc.sum(),
            packed: packed.finish().unwrap(),
            size: contents.len() as u32,
            mode: 0o100_644,
            shift: 0,
        }
    }

    /// Returns a stored file.
    pub(crate) fn stored(name: &[u8], contents: &[u8]) -> Self {
        Self { method: 0, packed: contents.to_vec(), ..Self::new(name, contents) }
    }

    fn fields(&self, name: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for n in [self.flags, self.method, 0, 0x21] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        for n in [self.crc, self.packed.len() as u32, self.size] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0; 2]); // no extra field
        out
    }
}

/// Returns a zip archive of these entries.
pub(crate) fn zip(entries: &[Zipped]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let at = (out.len() as i64 + entry.shift) as u32;
        let [listed, local] = &entry.names;
        out.extend_from_slice(b"PK\x03\x04\x14\0");
        out.extend_from_slice(&entry.fields(local));
        out.extend_from_slice(local);
        out.extend_from_slice(&entry.packed);
        directory.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0"); // made on Unix
        directory.extend_from_slice(&entry.fields(listed));
        directory.extend_from_slice(&[0; 6]); // comment, disk, inner attributes
        directory.extend_from_slice(&(entry.mode << 16).to_le_bytes());
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(listed);
    }
    let (start, size) = (out.len() as u32, directory.len() as u32);
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}
