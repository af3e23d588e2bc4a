//! Python pickles as plain data: protocols 0 to 5, Python 2 and 3 strings, numpy arrays and
//! scalars.
//!
//! A pickle is a program for a stack machine that may call any function. Here the functions are a
//! closed list ([`Global`]), each with a fixed meaning, and everything else is rejected by name.
//! The machine is a loop whose memory is bounded by the file: input and result together stay within
//! twice the file plus 16 MiB.
//!
//! Source: `CPython`'s `pickletools`, and pickles written by Python 2.7 with numpy 1.16. The
//! threats are calls of arbitrary functions, memo bombs, deep nesting and cycles, false lengths,
//! and data after the end.

mod document;
mod heap;
mod machine;
mod memo;
mod nodes;
mod numpy;
mod operands;
mod torch;
mod validate;
mod value;
mod views;
mod write;

pub use document::{Document, MAX_DEPTH};
pub use value::{Array, Global, NodeId, Storage, Tensor, Value};
pub use write::{write_ints, write_strings};

use super::budget::Budget;
use super::fault::{Fault, Step};
use crate::Result;
use machine::Dialect;
use operands::{AS_ARRAYS, TOO_LARGE};
use std::path::Path;

/// Decodes a pickle; `file` is for error messages only.
///
/// # Errors
/// [`crate::Error::Malformed`] with the byte offset when the input is not exactly one pickle of
/// plain data, and for every function or class that is not on the allow-list, named `module.name`.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<Document<'a>> {
    let whole = || {
        let room = Budget::for_input(bytes.len());
        let (document, end) = machine::run(bytes, Dialect::Numpy, room)?;
        let rest = bytes.get(end..).unwrap_or_default();
        // A newline that an editor added is harmless; anything else may be a second file in the
        // first.
        if rest.len() > 2 || !rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            let pair = ("one pickle and nothing else", format!("{} more bytes", rest.len()));
            return Err(Fault::new(end, "data after the end", pair));
        }
        Ok(document)
    };
    whole().map_err(|fault| {
        let remedy = if fault.what == TOO_LARGE {
            AS_ARRAYS
        } else {
            "check that this is a pickle of the StackGAN data, whole, and from a source that you trust"
        };
        fault.in_file(file, bytes.len(), remedy)
    })
}

/// Decodes the pickle of tensors at the start of `bytes`; also returns its end. Memory is charged
/// to `budget`, and [`Document`] holds what is left of it.
pub(crate) fn decode_torch(bytes: &[u8], budget: Budget) -> Step<(Document<'_>, usize)> {
    machine::run(bytes, Dialect::Torch, budget)
}
