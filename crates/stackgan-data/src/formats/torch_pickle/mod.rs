//! PyTorch's `.pth`: the tensors of a state dict or checkpoint by name, from both containers (FACTS 2.9).
//!
//! Zip archives are those of torch 1.6 and later; the stream of pickles followed by raw storages is that of torch
//! up to 1.5, Python 2 included. The pickles go through the one decoder of [`super::pickle`], which runs nothing;
//! tensors look into the file, strided and on shared storage, and have been checked against it. Input and result
//! stay within twice the file and 16 MiB.

mod legacy;
mod names;
mod stored;
mod zipped;

use super::ArrayView;
use super::budget::Budget;
use super::fault::{Fault, Step};
use crate::Result;
use std::path::Path;

/// The longest file that is read.
pub const MAX_FILE: u64 = 16 << 30;

/// A tensor and its name.
#[derive(Clone, Debug)]
pub struct NamedTensor<'a> {
    /// The keys that lead to it, joined by dots: `ca_net.fc.weight`. Empty when the file holds one bare tensor.
    pub name: String,
    /// Element type, shape and numbers; [`ArrayView::to_f32`] copies these in row-major order.
    pub array: ArrayView<'a>,
}

/// The tensors of a file in its order; `file` is for error messages only. What is in dicts and lists beside
/// tensors (epochs, settings) is passed over.
///
/// # Errors
/// [`crate::Error::Malformed`] with the byte offset for everything that is not one whole file of tensors in dicts
/// and lists: whole networks, `TorchScript`, and files of other formats are refused by name.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<Vec<NamedTensor<'a>>> {
    tensors(bytes).map_err(|fault| {
        let remedy = "check that this is a .pth file, whole; save a state dict: torch.save(net.state_dict(), file)";
        fault.in_file(file, bytes.len(), remedy)
    })
}

fn tensors(bytes: &[u8]) -> Step<Vec<NamedTensor<'_>>> {
    let budget = Budget::for_input(bytes.len());
    let stored = if super::zip::is_zip(bytes) {
        zipped::read(bytes, budget)?
    } else if bytes.starts_with(legacy::MAGIC) {
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
