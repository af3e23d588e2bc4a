//! A bias and bounds after a convolution.

use candle_core::{Result, Tensor};

/// A bias and bounds, applied after a convolution with a folded batch norm.
#[derive(Clone, Copy, Debug)]
pub struct Clamp<'a> {
    /// `(C)`.
    pub bias: &'a Tensor,
    /// The minimum, at most 0: 0 for `ReLU` and `ReLU6`.
    pub low: f32,
    /// The maximum, at least 0: 6 for `ReLU6`. A NaN stays NaN.
    pub high: f32,
}

impl Clamp<'_> {
    /// Checks bias and bounds for maps with this number of channels.
    pub(crate) fn check(&self, channels: usize) -> Result<()> {
        let Self { bias, low, high } = *self;
        if bias.dims() != [channels] {
            candle_core::bail!("clamp: maps of {channels} channels, bias {:?}", bias.dims());
        }
        if !(low <= 0. && 0. <= high) {
            candle_core::bail!("clamp: expected bounds around 0, found {low} and {high}");
        }
        Ok(())
    }
}
