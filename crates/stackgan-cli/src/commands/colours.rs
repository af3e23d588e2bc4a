//! Whether toy birds have the colours that their captions name; shared by `demo` and `eval`.

use anyhow::{Context as _, Result};
use stackgan_core::image::Picture;
use stackgan_data::toy::{Judge, box_reduce};

/// The seed of the birds from which the judge learns.
pub(crate) const SEED: u64 = 11;

/// The judge behind all colour scores of this program.
///
/// # Errors
/// As [`Judge::new`].
pub(crate) fn judge() -> Result<Judge> {
    Ok(Judge::new(SEED)?)
}

/// A picture in the form that the judge reads: 64x64 pixels, row by row.
///
/// # Errors
/// When the picture is not square, or its side is not a multiple of 64.
pub(crate) fn small(picture: &Picture) -> Result<Vec<u8>> {
    box_reduce(&picture.rgb)
        .context("a painted picture is square, with a side that is a multiple of 64")
}
