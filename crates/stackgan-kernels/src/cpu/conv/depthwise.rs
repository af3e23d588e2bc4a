//! Convolutions of every channel with a kernel of its own, forward only: what image classifiers for phones are made of.

use rayon::prelude::*;

use super::Finish;
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::lane::{LANES, Lane, one_pixel};
use crate::geometry::Conv2dShape;
use crate::vectorised::vectorised;

/// The convolution with `weight (C, 1, kh, kw)`.
pub(super) fn forward(x: &Blocks, weight: &[f32], s: &Conv2dShape, finish: Finish<'_>) -> Blocks {
    let kernels = kernels(weight, s);
    let mut y = Blocks::stale(Sizes::of_result(s));
    let blocks = y.sizes.blocks();
    y.lanes.par_chunks_mut(s.out_pixels()).enumerate().for_each(|(i, out)| {
        let (image, block) = (i / blocks, i % blocks);
        convolve(out, x.plane(image, block), &kernels[block * s.taps()..][..s.taps()], s);
        finish(block, out);
    });
    y
}

/// The taps as lanes `(blocks, taps)`, with zeros behind the last channel.
fn kernels(weight: &[f32], s: &Conv2dShape) -> Vec<Lane> {
    let mut kernels = vec![Lane::ZERO; s.in_channels.div_ceil(LANES) * s.taps()];
    for (channel, kernel) in weight.chunks_exact(s.taps()).enumerate() {
        let lanes = &mut kernels[channel / LANES * s.taps()..];
        for (lane, value) in lanes.iter_mut().zip(kernel) {
            lane.0[channel % LANES] = *value;
        }
    }
    kernels
}

vectorised! {
    /// A plane. Sums run over the taps, row by row of the kernel.
    fn convolve(out: &mut [Lane], x: &[Lane], kernel: &[Lane], s: &Conv2dShape) {
        for (row, out) in out.chunks_exact_mut(s.out_width).enumerate() {
            out.fill(Lane::ZERO);
            for (tap, factor) in kernel.iter().enumerate() {
                let (ky, kx) = (tap / s.kernel_width, tap % s.kernel_width);
                let Some(from) = s.source_row(row, ky) else { continue };
                let (inside, first) = s.inside(kx);
                let from = &x[from * s.width..][..s.width];
                let from = from[first.min(s.width)..].iter().step_by(s.stride);
                for (out, from) in out[inside].iter_mut().zip(from) {
                    one_pixel();
                    *out += *factor * *from;
                }
            }
        }
    }
}
