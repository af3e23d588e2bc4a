//! A position in the bytes of a file. Every length is compared with the remaining bytes before it
//! is used.

use super::fault::{Fault, Step};

/// A cursor over `bytes`, which begin at byte `base` of the file.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
    big_endian: bool,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of a file, with little-endian numbers.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, base: 0, big_endian: false }
    }

    /// A cursor over bytes that begin at byte `base` of a file.
    pub(crate) fn new_at(bytes: &'a [u8], base: usize) -> Self {
        Self { base, ..Self::new(bytes) }
    }

    /// The same position, with numbers in the given byte order.
    pub(crate) fn ordered(self, big_endian: bool) -> Self {
        Self { big_endian, ..self }
    }

    /// The offset in the file.
    pub(crate) fn offset(&self) -> usize {
        self.base.saturating_add(self.at)
    }

    /// Whether numbers are big-endian.
    pub(crate) fn big_endian(&self) -> bool {
        self.big_endian
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// A fault at this position.
    pub(crate) fn fault<T>(
        &self,
        what: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Step<T> {
        Err(Fault::new(self.offset(), what, (expected, found)))
    }

    /// All remaining bytes.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// A cursor over other bytes, in the same byte order.
    pub(crate) fn over<'b>(&self, bytes: &'b [u8]) -> Cursor<'b> {
        Cursor { bytes, at: 0, base: self.base, big_endian: self.big_endian }
    }

    pub(crate) fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        match self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end)) {
            Some(slice) => {
                self.at += n;
                Ok(slice)
            }
            None => {
                let found = format!("{} bytes", self.left());
                self.fault("file ends early", format!("{n} more bytes"), found)
            }
        }
    }

    /// The next `n` bytes as a separate cursor.
    pub(crate) fn part(&mut self, n: usize) -> Step<Self> {
        let base = self.offset();
        Ok(Self { bytes: self.take(n)?, at: 0, base, big_endian: self.big_endian })
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        if self.big_endian {
            out.reverse();
        }
        Ok(out)
    }

    pub(crate) fn u16(&mut self) -> Step<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Step<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Step<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Step<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Step<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// A position or length of 8 bytes, which may be beyond the end; saturates.
    pub(crate) fn size(&mut self) -> Step<usize> {
        let n = self.array().map(u64::from_le_bytes)?;
        Ok(usize::try_from(n).unwrap_or(usize::MAX))
    }

    /// A non-negative count of 4 bytes.
    pub(crate) fn count(&mut self) -> Step<usize> {
        let n = self.i32()?;
        usize::try_from(n)
            .or_else(|_| self.fault("count is negative", "a number from 0", n.to_string()))
    }
}
