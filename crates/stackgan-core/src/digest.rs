//! SHA-256 in hexadecimal.

use sha2::{Digest as _, Sha256};

/// Returns the SHA-256 of `bytes`, 64 hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sum::of(bytes).finish()
}

/// The first twelve digits of a hash, for names of files and messages.
#[must_use]
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// The SHA-256 of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Sum(Sha256);

impl Sum {
    /// Starts with the first piece.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = Self::default();
        sum.add(bytes);
        sum
    }

    /// Adds the next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the 64 hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: FIPS 180-4, the examples of NIST.
    #[test]
    fn pieces_give_the_sum_of_the_whole() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut pieces = Sum::of(b"a");
        pieces.add(b"");
        pieces.add(b"bc");
        assert_eq!((sha256(b"abc"), pieces.finish()), (abc.to_owned(), abc.to_owned()));
    }
}
