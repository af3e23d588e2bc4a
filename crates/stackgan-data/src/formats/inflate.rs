//! Decompression of deflated bytes, a given number at a time.
//!
//! The caller states the number of bytes and charges them to its budget, so a bomb cannot exceed
//! its own header's claim and the reader's limit.

use super::budget::Budget;
use super::fault::{Fault, Step};
use flate2::{Decompress, FlushDecompress, Status};

/// The wrapper of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapper {
    /// None, as in zip archives.
    None,
    /// A header and a checksum, as in MATLAB's files.
    Zlib,
}

/// A stream that is being decompressed.
pub(crate) struct Inflater<'a> {
    input: &'a [u8],
    /// The offset of the stream in the file.
    offset: usize,
    state: Decompress,
    ended: bool,
}

impl<'a> Inflater<'a> {
    pub(crate) fn new(input: &'a [u8], offset: usize, wrapper: Wrapper) -> Self {
        let state = Decompress::new(wrapper == Wrapper::Zlib);
        Self { input, offset, state, ended: false }
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize, budget: &mut Budget) -> Step<Vec<u8>> {
        if !budget.charge(n) {
            return Err(Fault::too_large(self.offset));
        }
        let mut out = vec![0; n];
        match self.fill(&mut out)? {
            filled if filled == n => Ok(out),
            filled => Err(self.fault(format!("{n} bytes"), format!("{filled} bytes"))),
        }
    }

    /// Checks that nothing follows, and the checksum if the stream has one.
    pub(crate) fn finish(mut self) -> Step<()> {
        match self.fill(&mut [0])? {
            0 if self.ended => Ok(()),
            0 => Err(self.fault("the end of the stream", "an end before it")),
            _ => Err(self.fault("the end of the stream", "more bytes")),
        }
    }

    /// Fills `out` until it is full or the stream ends.
    fn fill(&mut self, out: &mut [u8]) -> Step<usize> {
        let mut filled = 0;
        while !self.ended {
            let rest = out.get_mut(filled..).unwrap_or_default();
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(self.input, rest, FlushDecompress::None);
            let read = (self.state.total_in() - read) as usize;
            let written = (self.state.total_out() - written) as usize;
            self.input = self.input.get(read..).unwrap_or_default();
            filled += written;
            match status {
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(_) if read + written > 0 => {}
                Ok(_) => break,
                Err(_) => return Err(self.fault("a deflated stream", "bytes that are none")),
            }
        }
        Ok(filled)
    }

    fn fault(&self, expected: impl Into<String>, found: impl Into<String>) -> Fault {
        Fault::new(self.offset, "compressed data is damaged", (expected, found))
    }
}
