//! The bytes of a pickle, and the operands of its opcodes: numbers, counted strings, quoted
//! strings, names. Every length is compared with the remaining bytes before anything is allocated.

use crate::formats::budget::Budget;
use crate::formats::cursor::Cursor;
use crate::formats::fault::{Fault, Step};
use std::borrow::Cow;

/// What is wrong with a pickle that needs more memory than its size allows.
pub(super) const TOO_LARGE: &str = "pickle expands too much";

/// What to do then.
pub(super) const AS_ARRAYS: &str = "check that this is the right file, from a source that you trust; save its arrays as .npz or .npy";

/// A cursor over the input, whose faults are at the current opcode.
pub(super) struct Input<'a> {
    cursor: Cursor<'a>,
    /// The offset of the current opcode.
    pub(super) opcode: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes), opcode: 0 }
    }

    pub(super) fn left(&self) -> usize {
        self.cursor.left()
    }

    /// A fault at the current opcode.
    pub(super) fn fault<T>(
        &self,
        what: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Step<T> {
        Err(Fault { offset: self.opcode, what, expected: expected.into(), found: found.into() })
    }

    /// The fault of a value that needs more memory than is left.
    pub(super) fn too_large<T>(&self) -> Step<T> {
        let expected = "contents of about the size of the file";
        self.fault(TOO_LARGE, expected, "more than twice the file and 16 MiB")
    }

    /// The next opcode.
    pub(super) fn next_opcode(&mut self) -> Step<u8> {
        self.opcode = self.cursor.offset();
        let [opcode] = self.array::<1>()?;
        Ok(opcode)
    }

    pub(super) fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let offset = self.opcode;
        self.cursor.take(n).map_err(|fault| Fault { offset, what: "pickle ends early", ..fault })
    }

    pub(super) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// A string with a little-endian length of `N` bytes.
    pub(super) fn counted<const N: usize>(&mut self) -> Step<&'a [u8]> {
        let mut wide = [0u8; 8];
        for (slot, byte) in wide.iter_mut().zip(self.array::<N>()?) {
            *slot = byte;
        }
        match usize::try_from(u64::from_le_bytes(wide)) {
            Ok(n) => self.take(n),
            Err(_) => {
                self.fault("pickle ends early", "a length that fits the file", "more than 2^32")
            }
        }
    }

    /// UTF-8 text with a little-endian length of `N` bytes.
    pub(super) fn counted_utf8<const N: usize>(&mut self) -> Step<&'a str> {
        let bytes = self.counted::<N>()?;
        std::str::from_utf8(bytes).or_else(|e| {
            self.fault(
                "text is not UTF-8",
                "UTF-8",
                format!("a bad byte at {} of it", e.valid_up_to()),
            )
        })
    }

    /// The bytes up to a newline, which is consumed and left out.
    pub(super) fn line(&mut self) -> Step<&'a [u8]> {
        match self.cursor.rest().iter().position(|&b| b == b'\n') {
            Some(n) => Ok(self.take(n + 1)?.get(..n).unwrap_or_default()),
            None => self.fault("pickle ends early", "a line", "no newline up to the end"),
        }
    }

    /// A line that is a number, such as the operand of `I`, `p` or `F`.
    pub(super) fn number<T: std::str::FromStr>(&mut self, kind: &'static str) -> Step<T> {
        let line = self.line()?.trim_ascii();
        match std::str::from_utf8(line).ok().and_then(|s| s.parse().ok()) {
            Some(number) => Ok(number),
            None => self.fault("malformed number", kind, quote(line)),
        }
    }

    /// A little-endian two's complement integer of 0 to 8 bytes (`LONG1`, `LONG4`); longer ones are
    /// rejected.
    pub(super) fn long(&self, bytes: &[u8]) -> Step<i64> {
        // Python writes the fewest bytes, but padding with sign bytes is legal.
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let pad = if negative { 0xff } else { 0 };
        let mut wide = [pad; 8];
        for (slot, &byte) in wide.iter_mut().zip(bytes) {
            *slot = byte;
        }
        let number = i64::from_le_bytes(wide);
        let fits = bytes.iter().skip(8).all(|&b| b == pad) && (number < 0) == negative;
        if fits {
            return Ok(number);
        }
        self.fault("number is too large", "at most 64 bits", format!("{} bytes", bytes.len()))
    }

    /// The operand of `S`: a Python 2 string literal in either kind of quotes.
    pub(super) fn quoted(&mut self, budget: &mut Budget) -> Step<Cow<'a, [u8]>> {
        let line = self.line()?.trim_ascii();
        let inner = match line {
            [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
            _ => return self.fault("malformed string", "a quoted string", quote(line)),
        };
        if !inner.contains(&b'\\') {
            return Ok(Cow::Borrowed(inner));
        }
        let mut size = 0;
        if each_unescaped(inner, |_| size += 1).is_none() {
            return self.fault("malformed string", "Python 2 escapes", quote(inner));
        }
        if !budget.charge(size) {
            return self.too_large();
        }
        let mut bytes = Vec::with_capacity(size);
        each_unescaped(inner, |byte| bytes.push(byte));
        Ok(Cow::Owned(bytes))
    }

    /// The text of an operand of `V`: Latin-1 with `\uXXXX` and `\UXXXXXXXX` (raw-unicode-escape).
    pub(super) fn raw_unicode(&self, line: &'a [u8], budget: &mut Budget) -> Step<Cow<'a, str>> {
        if let (true, Ok(text)) = (is_plain(line), std::str::from_utf8(line)) {
            return Ok(Cow::Borrowed(text));
        }
        match decoded_size(line) {
            None => self.fault("malformed text", "raw-unicode-escape", quote(line)),
            Some(size) if budget.charge(size) => Ok(Cow::Owned(decoded(line, size))),
            Some(_) => self.too_large(),
        }
    }
}

/// Whether a raw-unicode-escape line equals its decoded text.
pub(super) fn is_plain(line: &[u8]) -> bool {
    line.is_ascii() && !line.contains(&b'\\')
}

/// Size in bytes of the decoded text of a raw-unicode-escape line; `None` if it is malformed.
pub(super) fn decoded_size(line: &[u8]) -> Option<usize> {
    let mut size = 0;
    each_raw_unicode(line, |c| {
        size += c.len_utf8();
        Some(())
    })?;
    Some(size)
}

/// Decodes a raw-unicode-escape line whose text has this size.
pub(super) fn decoded(line: &[u8], size: usize) -> String {
    let mut text = String::with_capacity(size);
    let _ = each_raw_unicode(line, |c| {
        text.push(c);
        Some(())
    });
    text
}

/// The first bytes, safe to show.
pub(super) fn quote(bytes: &[u8]) -> String {
    let start = bytes.get(..bytes.len().min(60)).unwrap_or_default();
    let dots = if bytes.len() > 60 { "…" } else { "" };
    format!("\"{}{dots}\"", start.escape_ascii())
}

/// Calls `take` with each byte of a string of which `text` is Python 2's `repr`; `None` if it is
/// malformed.
fn each_unescaped(text: &[u8], mut take: impl FnMut(u8)) -> Option<()> {
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            take(byte);
            continue;
        }
        let escape = *rest.next()?;
        take(match escape {
            b'\\' | b'\'' | b'"' => escape,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 7,
            b'b' => 8,
            b'v' => 11,
            b'f' => 12,
            b'x' => {
                let mut digit = || (*rest.next()? as char).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            b'0'..=b'7' => {
                let mut code = u32::from(escape - b'0');
                for _ in 0..2 {
                    match rest.as_slice().first() {
                        Some(&d @ b'0'..=b'7') => {
                            code = code * 8 + u32::from(d - b'0');
                            rest.next();
                        }
                        _ => break,
                    }
                }
                u8::try_from(code).ok()?
            }
            _ => return None,
        });
    }
    Some(())
}

/// Calls `take` with each character of a line of Latin-1, in which an odd number of backslashes
/// before `u` or `U` begins an escape.
///
/// Surrogate pairs of narrow Python builds are joined; lone surrogates are rejected.
pub(super) fn each_raw_unicode(
    line: &[u8],
    mut take: impl FnMut(char) -> Option<()>,
) -> Option<()> {
    let mut high: Option<u32> = None;
    let mut rest = line;
    while let Some((&byte, tail)) = rest.split_first() {
        let backslashes = rest.iter().take_while(|&&byte| byte == b'\\').count();
        let after = rest.get(backslashes..)?;
        let digits = match after.first() {
            Some(b'u') if backslashes % 2 == 1 => 4,
            Some(b'U') if backslashes % 2 == 1 => 8,
            _ => 0,
        };
        // The last backslash belongs to the escape.
        let literal = backslashes - usize::from(digits > 0);
        if high.is_some() && (literal > 0 || digits == 0) {
            return None;
        }
        if backslashes == 0 {
            take(char::from(byte))?;
            rest = tail;
            continue;
        }
        for _ in 0..literal {
            take('\\')?;
        }
        rest = after;
        if digits == 0 {
            continue;
        }
        let hex = after.get(1..=digits)?;
        rest = after.get(digits + 1..)?;
        let code =
            hex.iter().try_fold(0u32, |code, &b| Some((code << 4) | (b as char).to_digit(16)?))?;
        match (high.take(), code) {
            (None, 0xd800..=0xdbff) => high = Some(code),
            (None, _) => take(char::from_u32(code)?)?,
            (Some(high), 0xdc00..=0xdfff) => {
                let joined = 0x1_0000 + ((high - 0xd800) << 10) + (code - 0xdc00);
                take(char::from_u32(joined)?)?;
            }
            (Some(_), _) => return None,
        }
    }
    high.is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_2_string_literals() {
        let read = |text: &[u8]| {
            let mut bytes = Vec::new();
            each_unescaped(text, |byte| bytes.push(byte)).map(|()| bytes)
        };
        assert_eq!(read(br"\x00a\\\'\n\101\0").unwrap(), b"\0a\\'\nA\0");
        for bad in [&br"\"[..], br"\x1", br"\xg0", br"\q", br"\777"] {
            assert!(read(bad).is_none());
        }
    }

    #[test]
    fn raw_unicode_escapes() {
        let read = |line: &[u8]| {
            let size = decoded_size(line)?;
            let text = decoded(line, size);
            assert_eq!((text.len(), text.capacity()), (size, size));
            Some(text)
        };
        assert_eq!(read(b"\\u005cu0041\\u000a\xe9").unwrap(), "\\u0041\n\u{e9}");
        assert_eq!(read(br"\\u0041").unwrap(), r"\\u0041");
        assert_eq!(read(br"\ud83d\udc26\U0001f426").unwrap(), "\u{1f426}\u{1f426}");
        for bad in
            [&br"\ud83d"[..], br"\ud83dx", br"\udc26", br"\u00", br"\U00110000", br"\ud83d\u0041"]
        {
            assert!(read(bad).is_none(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn longs() {
        let input = Input::new(&[]);
        for (bytes, number) in [
            (&[][..], 0),
            (&[0xff], -1),
            (&[0xff, 0], 255),
            (&[0, 0x80], -32768),
            (&[0, 0, 0, 0, 0, 0, 0, 0x80], i64::MIN),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1),
        ] {
            assert_eq!(input.long(bytes).unwrap(), number);
        }
        assert!(input.long(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0]).is_err());
        assert!(
            input.long(&[0; 3].repeat(4).iter().copied().chain([1]).collect::<Vec<_>>()).is_err()
        );
    }
}
