//! Readers (and a few writers) of the file formats used with `StackGAN`.
//!
//! Every reader treats its input as hostile: it accepts only listed types, bounds memory and depth,
//! and never panics.

mod array;
mod budget;
mod cursor;
mod dtype;
mod fault;
mod inflate;
pub mod matlab;
pub mod npy;
pub mod npz;
pub mod pickle;
pub mod tensorflow;
pub mod torch7;
pub mod torch_pickle;
mod zip;

pub use array::ArrayView;
pub(crate) use array::Layout;
pub use dtype::DType;
pub(crate) use dtype::Kind;

use crate::{Error, Result};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Maximum length in bytes of a file of weights or embeddings: larger than any used with `StackGAN`.
pub const MAX_FILE: u64 = 16 << 30;

/// Reads a regular file of at most `cap` bytes. Devices, pipes and folders are rejected.
///
/// # Errors
/// When the file cannot be read, is not a regular file, or is longer than `cap`.
pub fn read_bounded(path: &Path, cap: u64) -> Result<Vec<u8>> {
    // Before it is opened: a pipe would be waited for.
    let meta = std::fs::metadata(path).map_err(|e| Error::read(path, e))?;
    if !meta.is_file() || meta.len() > cap {
        let found = if meta.is_file() {
            format!("{} bytes", meta.len())
        } else {
            "something that is not a file".to_owned()
        };
        return Err(Error::malformed(
            path,
            "file is not of the expected kind or size",
            "whole file",
            (format!("a regular file of at most {cap} bytes"), found),
            "check that this is the right file",
        ));
    }
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // One byte more than the known length: a file that grows meanwhile cannot fill the memory.
    file.take(meta.len() + 1).read_to_end(&mut bytes).map_err(|e| Error::read(path, e))?;
    Ok(bytes)
}
