//! The prepared dataset: one safetensors file with a dataset's pictures as squares of bytes, and
//! captions, classes and splits. It is made once by [`import`] and then read by position.
//!
//! | tensor | type and shape | meaning |
//! |---|---|---|
//! | `caption_offsets` | u64 (captions + 1) | caption `c` is `captions[offsets[c]..offsets[c + 1]]` |
//! | `caption_ranges` | u64 (N + 1) | picture `i` has captions `ranges[i]..ranges[i + 1]` |
//! | `class_id` | u32 (N) | opaque label |
//! | `captions` | u8 (bytes) | UTF-8, one after the other |
//! | `split` | u8 (N) | 0 train, 1 test |
//! | `images` | u8 (N, S, S, 3) | RGB rows, S = 76 or 304 |
//! | `row_crc32c` | u32 (N S) | CRC-32C of each row of pixels; absent in early files |
//!
//! The metadata key `stackgan` holds the [`Manifest`] as JSON. The file does not depend on time,
//! machine, folder or thread count: equal input gives equal bytes.

mod manifest;
mod read;
mod write;

pub use manifest::Manifest;
pub(crate) use manifest::orientation;
pub use read::Prepared;
pub use write::{Damaged, ImportOptions, ImportReport, LeftOut, import};

use crate::crop::PictureSize;

/// The name of the prepared file of pictures of this size.
#[must_use]
pub fn prepared_name(size: PictureSize) -> String {
    format!("prepared-{}.safetensors", size.prepared())
}

#[cfg(test)]
mod tests;
