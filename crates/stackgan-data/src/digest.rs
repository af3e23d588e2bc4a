//! SHA-256 in lower-case hexadecimal, as files and datasets are identified everywhere.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of `bytes`, in hexadecimal.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// Reads to the end. Each piece is passed on, with the number of bytes so far; a failed read becomes
/// the error `failed`. Returns the length and the SHA-256 of all.
#[cfg(feature = "fetch")]
pub(crate) fn passed_on(
    mut from: impl std::io::Read,
    failed: impl Fn(std::io::Error) -> crate::Error,
    mut to: impl FnMut(&[u8], u64) -> crate::Result<()>,
) -> crate::Result<(u64, String)> {
    let (mut piece, mut length, mut hash) = (vec![0; 1 << 16], 0, Sha256::new());
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok((length, hex(&hash.finalize()))),
            Ok(n) => piece.get(..n).unwrap_or_default(),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed(e)),
        };
        hash.update(read);
        length += read.len() as u64;
        to(read, length)?;
    }
}

/// Whether a text has this many hexadecimal digits and nothing else.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
