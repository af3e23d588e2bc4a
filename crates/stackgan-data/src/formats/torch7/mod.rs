//! Lua Torch's `.t7` (binary): tables, strings, numbers, booleans, tensors and storages of every element type, as
//! Reed's data and the first release hold them (FACTS 4.7, 4.8).
//!
//! Functions can lie in a file and are passed over; of objects of other classes (networks) name and fields are kept, and
//! nothing of them is run: [`char_cnn_rnn`] finds the weights of Reed's text encoder in them. References, cycles included, are shared; tensors look into the file, strided and
//! on shared storage, and have been checked against it. Reading is a loop, and input and result stay within twice
//! the file and 16 MiB (RELIABILITY T1, T2).

mod char_cnn_rnn;
mod reader;
mod tensor;
mod value;

pub use char_cnn_rnn::char_cnn_rnn;
pub use value::{Document, Object, Table, Value};

use crate::Result;
use std::path::Path;

/// The longest file that is read.
pub const MAX_FILE: u64 = 16 << 30;

/// Reads a whole file; `file` is for error messages only.
///
/// # Errors
/// [`crate::Error::Malformed`] with the byte offset for everything that is not one whole object.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<Document<'a>> {
    reader::read(bytes, file).map_err(|fault| {
        let remedy = "check that this is a .t7 file, whole, saved in binary by 64-bit Torch";
        fault.in_file(file, bytes.len(), remedy)
    })
}
