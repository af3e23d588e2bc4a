//! The first half of a discriminator, the same in both recipes: a stack of convolutions from
//! pictures to 4x4. The recipe and the stage say which.

use candle_core::{Result, Tensor};
use stackgan_kernels::{Maps, Statistics};

use crate::layers::{Conv, ConvNorm, LEAKY, Style, Window};
use crate::params::Scope;

/// A discriminator's encoder of pictures.
#[derive(Clone, Debug)]
pub(crate) struct PictureEncoder {
    side: usize,
    first: Conv,
    layers: Vec<ConvNorm>,
}

impl PictureEncoder {
    /// Creates an encoder of pictures of `side` pixels: a convolution to `width` channels, which has
    /// no batch norm, and `layers`.
    pub(crate) fn new(
        side: usize,
        width: usize,
        layers: Vec<ConvNorm>,
        style: Style,
        scope: &Scope,
    ) -> Result<Self> {
        let first = Conv::new(3, width, Window::Halve, style, scope.pp(0))?;
        Ok(Self { side, first, layers })
    }

    /// Maps pictures `(batch, 3, side, side)` to features `(batch, 8 df, 4, 4)`. For other sizes a
    /// discriminator would return several logits per picture.
    pub(crate) fn forward(&self, images: &Tensor, by: Statistics) -> Result<Maps> {
        match *images.dims() {
            [_, 3, height, width] if (height, width) == (self.side, self.side) => {}
            _ => candle_core::bail!(
                "this discriminator looks at pictures (batch, 3, {0}, {0}), found {1:?}",
                self.side,
                images.dims()
            ),
        }
        let mut x = self.first.forward(&Maps::enter(images)?)?.activate(LEAKY)?;
        for layer in &self.layers {
            x = layer.forward(&x, by)?;
        }
        Ok(x)
    }
}
