//! Python pickles as plain data: protocols 0 to 5, Python 2 and 3 strings, numpy arrays and scalars.
//!
//! A pickle is a program for a stack machine that may call any function. Here the functions are a closed list
//! ([`Global`]), each with a fixed meaning, and everything else is refused by name. The machine is a loop; its
//! memory is bounded by the file: input and result together stay within twice the file and 16 MiB.
//! Facts: FACTS 4.2, 4.3; threats: RELIABILITY P1 to P7.

mod budget;
mod machine;
mod numpy;
mod operands;
mod validate;
mod value;
mod views;
mod write;

pub use value::{Array, Document, Global, NodeId, Value};
pub use views::ArrayView;
pub use write::{write_ints, write_strings};

use crate::{Error, Result};
use std::path::Path;

/// Containers within containers that are accepted.
pub const MAX_DEPTH: usize = 64;

/// The longest pickle that is read: larger than any of the `StackGAN` world.
pub const MAX_FILE: u64 = 16 << 30;

/// Decodes a pickle; `file` is for error messages only.
///
/// # Errors
/// [`Error::Malformed`] with the byte offset for everything that is not one whole pickle of plain data, and
/// for every function or class beyond the allow-list, named `module.name`.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<Document<'a>> {
    machine::run(bytes).map_err(|fault| {
        Error::malformed(
            file,
            fault.what,
            format!("byte {} of {}", fault.offset, bytes.len()),
            (fault.expected, fault.found),
            "check that this is a pickle of the StackGAN data, whole, and from a source that you trust",
        )
    })
}
