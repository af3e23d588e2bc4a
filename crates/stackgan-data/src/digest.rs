//! SHA-256 in lower-case hexadecimal, as files and datasets are identified everywhere.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of `bytes`, in hexadecimal.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
