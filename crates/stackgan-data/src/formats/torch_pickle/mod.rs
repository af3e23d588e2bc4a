//! PyTorch's `.pth`: the tensors of a state dict or checkpoint by name, from both containers.
//!
//! Zip archives are written by torch 1.6 and later; a stream of pickles followed by raw storages by
//! torch up to 1.5, including Python 2. The pickles are decoded by [`super::pickle`], which runs no
//! code. Tensors are views of the file, strided and on shared storage, and have been checked
//! against it. Input and result stay within twice the file plus 16 MiB.

mod legacy;
mod names;
mod stored;
mod zipped;

use super::budget::Budget;
use super::fault::{Fault, Step};
use crate::Result;
pub use names::NamedTensor;
use std::path::Path;

/// Reads the tensors of a file in its order; `file` is for error messages only.
///
/// Other values in dicts and lists (epochs, settings) are skipped.
///
/// # Errors
/// [`crate::Error::Malformed`] with the byte offset when the input is not exactly one file of
/// tensors in dicts and lists. Whole networks, `TorchScript` and files of other formats are
/// rejected by name.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<Vec<NamedTensor<'a>>> {
    tensors(bytes).map_err(|fault| {
        let remedy = "check that this is a .pth file, whole; save a state dict: torch.save(net.state_dict(), file)";
        fault.in_file(file, bytes.len(), remedy)
    })
}

/// Whether a file begins as the streams of torch 0.2 to 1.5 do, which are pickles too.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(legacy::MAGIC)
}

fn tensors(bytes: &[u8]) -> Step<Vec<NamedTensor<'_>>> {
    let budget = Budget::for_input(bytes.len());
    let stored = if super::zip::is_zip(bytes) {
        zipped::read(bytes, budget)?
    } else if begins(bytes) {
        legacy::read(bytes, budget)?
    } else {
        let found = match bytes.get(257..262) {
            Some(b"ustar") => "a tar archive, as torch 0.1 wrote",
            _ => "another format",
        };
        let pair = ("a zip archive or a stream with torch's magic number", found);
        return Err(Fault::new(0, "this is not a .pth file", pair));
    };
    names::collect(stored)
}
