//! Whether toy birds have the colours that their captions name: what `demo` and `eval` share of it.

use anyhow::{Context as _, Result};
use stackgan_core::image::Picture;
use stackgan_data::toy::{Judge, box_reduce};

/// The seed of the birds that the judge learns from.
pub(crate) const SEED: u64 = 11;

/// The judge of all numbers of this program.
///
/// # Errors
/// As [`Judge::new`].
pub(crate) fn judge() -> Result<Judge> {
    Ok(Judge::new(SEED)?)
}

/// A picture as the judge looks at it: 64x64 pixels, row by row.
///
/// # Errors
/// When it is not square, with a side that is a multiple of 64.
pub(crate) fn small(picture: &Picture) -> Result<Vec<u8>> {
    box_reduce(&picture.rgb)
        .context("a painted picture is square, with a side that is a multiple of 64")
}
