//! The token that remote clients must send.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

/// A secret token, of which only a hash is kept.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Parses the contents of a file: one line of 32 to 4096 visible ASCII characters, which is at
    /// least 128 bits in hexadecimal.
    ///
    /// # Errors
    /// [`Error::Token`] when it is shorter, longer, or has other characters.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self> {
        let mut text = text.as_ref();
        while let [rest @ .., b'\r' | b'\n'] = text {
            text = rest;
        }
        if text.iter().any(|byte| !byte.is_ascii()) {
            return Err(Error::Token("bytes that are none"));
        }
        match text.len() {
            0..32 => return Err(Error::Token("fewer")),
            4097.. => return Err(Error::Token("more")),
            _ => {}
        }
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(Error::Token("others, or several lines"));
        }
        let first = text.first();
        if text.iter().all(|byte| Some(byte) == first) {
            return Err(Error::Token("one character again and again"));
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// Whether `given` is the token. All bytes of the hashes are compared, so the time reveals
    /// nothing about the secret.
    pub(crate) fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.iter().zip(given).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let secret = "0123456789abcdef0123456789abcdef";
        let token = Token::parse(format!("{secret}\r\n")).unwrap();
        assert!(token.is(secret));
        for wrong in ["", "0123456789abcdef0123456789abcdeF", &secret[1..], &format!("{secret} ")] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn what_could_be_guessed_is_refused() {
        for bad in ["", "password", &"a".repeat(40), &"ab ".repeat(20), &"ab\n".repeat(20)] {
            assert!(Token::parse(bad).is_err(), "{bad}");
        }
        assert!(Token::parse("ab".repeat(3000)).is_err());
        let said = |bytes: &[u8]| Token::parse(bytes).unwrap_err().to_string();
        assert!(said(&[0xff; 5]).contains("found bytes that are none"), "{}", said(&[0xff; 5]));
        assert!(said(b"ab").contains("found fewer"), "{}", said(b"ab"));
    }
}
