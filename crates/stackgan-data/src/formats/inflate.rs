//! Decompression of deflated bytes, a given number at a time.
//!
//! The caller states the number of bytes and charges them to its budget, so a bomb cannot exceed
//! its own header's claim and the reader's limit.

use super::budget::Budget;
use super::fault::{Fault, Step};
use std::io::{Error, ErrorKind, Read};

/// The next `n` bytes of `stream`, whose compressed bytes begin at `offset` of the file.
pub(crate) fn take(
    stream: &mut impl Read,
    n: usize,
    offset: usize,
    budget: &mut Budget,
) -> Step<Vec<u8>> {
    if !budget.charge(n) {
        return Err(Fault::too_large(offset));
    }
    let mut out = vec![0; n];
    match stream.read_exact(&mut out) {
        Ok(()) => Ok(out),
        Err(error) => Err(damaged(offset, &format!("{n} bytes"), &error)),
    }
}

/// Checks that nothing follows, and the checksum if the stream has one.
pub(crate) fn finish(stream: &mut impl Read, offset: usize) -> Step<()> {
    let expected = "the end of the stream";
    match stream.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(1..) => Err(fault(offset, expected, "more bytes")),
        Err(error) => Err(damaged(offset, expected, &error)),
    }
}

/// What `flate2` says of a stream.
fn damaged(offset: usize, expected: &str, error: &Error) -> Fault {
    match error.kind() {
        ErrorKind::UnexpectedEof => fault(offset, expected, "an end before that"),
        _ => fault(offset, "a deflated stream", "bytes that are none"),
    }
}

fn fault(offset: usize, expected: &str, found: &str) -> Fault {
    Fault::new(offset, "compressed data is damaged", (expected, found))
}
