//! The record format of TensorFlow: length (8 bytes), its checksum, the data, their checksum.
//!
//! A checksum is CRC-32C, rotated by 15 bits and offset by a constant ("masked"), so that a CRC
//! over data which contain CRCs causes no problems. Source:
//! `tensorflow/core/lib/io/record_writer.h` and `core/lib/hash/crc32c.h`. All numbers are
//! little-endian.

/// Number of bytes around the data.
const AROUND: usize = 8 + 4 + 4;

fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Encodes one record.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + AROUND);
    out.extend(length);
    out.extend(masked(&length));
    out.extend(data);
    out.extend(masked(data));
    out
}

/// The data of the first record in `bytes`, and the bytes after it; `None` if it is truncated or
/// damaged.
pub(super) fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    if *sum != masked(length) {
        return None;
    }
    let (data, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    (*sum == masked(data)).then_some((data, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_damage_is_seen() {
        let mut bytes = framed(b"one");
        bytes.extend(framed(b""));
        let (one, rest) = first(&bytes).unwrap();
        let (empty, rest) = first(rest).unwrap();
        assert_eq!((one, empty, rest), (&b"one"[..], &b""[..], &b""[..]));
        let record = framed(b"data");
        for cut in 0..record.len() {
            assert!(first(&record[..cut]).is_none(), "{cut}");
        }
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(first(&damaged).is_none(), "{bit}");
        }
    }
}
