//! Convolutions with far more weights than pixels: read where they are, not transformed.
//!
//! The last layers of Stage-II's discriminator have two million pairs of channels and sixteen pixels; to write their weights in
//! another order takes longer than the products. The pixels, few, go into planes and back instead.

use super::{Gradients, Wanted};
use crate::conv::{convolve, input_gradient, weight_gradient};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::geometry::Conv2dShape;

/// Pairs of channels from which weights stay where they are, for maps of at most [`PIXELS`].
const PAIRS: usize = 1 << 21;

/// Pixels of a result that is small.
const PIXELS: usize = 16;

/// Whether a shape is of this kind.
pub(super) fn applies(s: &Conv2dShape) -> bool {
    s.taps() > 1 && s.in_channels * s.out_channels >= PAIRS && s.out_pixels() <= PIXELS
}

/// The convolution.
pub(super) fn forward(x: &Blocks, weight: &[f32], s: &Conv2dShape) -> Blocks {
    let sizes = Sizes {
        images: s.images,
        channels: s.out_channels,
        height: s.out_height,
        width: s.out_width,
    };
    Blocks::from_planes(&convolve(&x.to_planes(), weight, s), sizes)
}

/// The gradients.
pub(super) fn backward(
    x: &Blocks,
    weight: &[f32],
    dy: &Blocks,
    s: &Conv2dShape,
    wanted: Wanted,
) -> Gradients {
    let dy = dy.to_planes();
    Gradients {
        input: wanted.input.then(|| Blocks::from_planes(&input_gradient(&dy, weight, s), x.sizes)),
        weight: wanted.weight.then(|| weight_gradient(&x.to_planes(), &dy, s)),
    }
}
