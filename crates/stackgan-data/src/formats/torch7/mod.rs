//! Lua Torch's binary `.t7` files: tables, strings, numbers, booleans, tensors and storages of
//! every element type, as in Reed's data and the first release.
//!
//! Source: torch/torch7 `File.lua`, `generic/Tensor.c`, `generic/Storage.c`. Functions in a file
//! are skipped. Of objects of other classes (networks) the name and fields are kept, and none of
//! their code is run; [`char_cnn_rnn`] finds the weights of Reed's text encoder in them.
//!
//! References are shared and may be cyclic. Tensors are views of the file, strided and on shared
//! storage, and have been checked against it. Reading is a loop, and input and result stay within
//! twice the file plus 16 MiB.

mod char_cnn_rnn;
mod reader;
mod tensor;
mod value;

pub use char_cnn_rnn::char_cnn_rnn;
pub use value::{Document, Object, Table, Value};

use crate::Result;
use std::path::Path;

/// Reads a whole file; `file` is for error messages only.
///
/// # Errors
/// [`crate::Error::Malformed`] with the byte offset when the input is not exactly one object.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<Document<'a>> {
    reader::read(bytes, file).map_err(|fault| {
        let remedy = "check that this is a .t7 file, whole, saved in binary by 64-bit Torch";
        fault.in_file(file, bytes.len(), remedy)
    })
}
