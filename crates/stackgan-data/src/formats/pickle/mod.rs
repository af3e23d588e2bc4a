//! Python pickles as plain data: protocols 0 to 5, Python 2 and 3 strings, numpy arrays and scalars.
//!
//! A pickle is a program for a stack machine that may call any function. Here the functions are a closed list
//! ([`Global`]), each with a fixed meaning, and everything else is refused by name. The machine is a loop; its
//! memory is bounded by the file: input and result together stay within twice the file and 16 MiB.
//! Facts: FACTS 4.2, 4.3; threats: RELIABILITY P1 to P7.

mod machine;
mod numpy;
mod operands;
mod torch;
mod validate;
mod value;
mod views;
mod write;

pub use value::{Array, Document, Global, NodeId, Storage, Tensor, Value};
pub use write::{write_ints, write_strings};

use super::budget::Budget;
use super::fault::{Fault, Step};
use crate::Result;
use std::path::Path;

/// Containers within containers that are accepted.
pub const MAX_DEPTH: usize = 64;

/// The longest pickle that is read: larger than any of the `StackGAN` world.
pub const MAX_FILE: u64 = 16 << 30;

/// Which functions and classes a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Those of numpy's arrays and scalars.
    Numpy,
    /// Those too of PyTorch's tensors, with their storages as persistent ids.
    Torch,
}

/// Decodes a pickle; `file` is for error messages only.
///
/// # Errors
/// [`crate::Error::Malformed`] with the byte offset for everything that is not one whole pickle of plain data, and
/// for every function or class beyond the allow-list, named `module.name`.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<Document<'a>> {
    let whole = || {
        let room = Budget::for_input(bytes.len());
        let (document, end) = machine::run(bytes, Dialect::Numpy, room)?;
        let rest = bytes.get(end..).unwrap_or_default();
        // An editor's newline at the end is no harm; anything else may be a second file in the first.
        if rest.len() > 2 || !rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            let pair = ("one pickle and nothing else", format!("{} more bytes", rest.len()));
            return Err(Fault::new(end, "data after the end", pair));
        }
        Ok(document)
    };
    whole().map_err(|fault| {
        let remedy =
            "check that this is a pickle of the StackGAN data, whole, and from a source that you trust";
        fault.in_file(file, bytes.len(), remedy)
    })
}

/// Decodes the pickle at the start of `bytes`, which holds tensors; gives its end too. It takes its memory from
/// `budget`, and gives back in [`Document`] what is left.
pub(crate) fn decode_torch(bytes: &[u8], budget: Budget) -> Step<(Document<'_>, usize)> {
    machine::run(bytes, Dialect::Torch, budget)
}
