//! Depthwise convolutions, which have one kernel per channel, and the gradient of their input.
//! Image classifiers for phones consist of them. Their weights are not trained here.

use rayon::prelude::*;

use super::finish::Finish;
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::lane::{LANES, Lane, one_pixel};
use crate::geometry::Conv2dShape;
use crate::vectorised::vectorised;

/// Convolves `x` with `weight (C, 1, kh, kw)`.
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

/// Computes the gradient of the input; with stride 1 as a convolution with reversed kernels.
pub(super) fn backward(weight: &[f32], dy: &Blocks, s: &Conv2dShape) -> Blocks {
    let mut kernels = kernels(weight, s);
    let adjoint = s.adjoint();
    if adjoint.is_some() {
        kernels.chunks_exact_mut(s.taps()).for_each(<[Lane]>::reverse);
    }
    let mut dx = Blocks::stale(Sizes::of_input(s));
    let blocks = dx.sizes.blocks();
    dx.lanes.par_chunks_mut(s.height * s.width).enumerate().for_each(|(i, dx)| {
        let (image, block) = (i / blocks, i % blocks);
        let (dy, kernel) = (dy.plane(image, block), &kernels[block * s.taps()..][..s.taps()]);
        match &adjoint {
            Some(adjoint) => convolve(dx, dy, kernel, adjoint),
            None => scatter(dx, dy, kernel, s),
        }
    });
    dx
}

/// Returns the taps as lanes `(blocks, taps)`, with zeros after the last channel.
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

/// Number of outputs whose sums stay in registers during the loop over the taps.
const TILE: usize = 8;

/// Convolves a plane with a constant stride. Outputs whose windows lie inside the rows are computed
/// in tiles, the others one by one.
#[inline(always)]
fn convolve_by<const STRIDE: usize>(
    out: &mut [Lane],
    x: &[Lane],
    kernel: &[Lane],
    s: &Conv2dShape,
) {
    let inner = s.pad_width.div_ceil(STRIDE)
        ..((s.width + s.pad_width + 1).saturating_sub(s.kernel_width)).div_ceil(STRIDE);
    let inner = inner.start.min(s.out_width)..inner.end.min(s.out_width);
    for (row, out) in out.chunks_exact_mut(s.out_width).enumerate() {
        let mut next = 0;
        while next < s.out_width {
            if next < inner.start || next + TILE > inner.end {
                out[next] = one(x, kernel, (row, next), s);
                next += 1;
                continue;
            }
            let mut sums = [Lane::ZERO; TILE];
            for (ky, factors) in kernel.chunks_exact(s.kernel_width).enumerate() {
                let Some(from) = s.source_row(row, ky) else { continue };
                let from = &x[from * s.width + next * STRIDE - s.pad_width..];
                for (kx, factor) in factors.iter().enumerate() {
                    let from = &from[kx..][..(TILE - 1) * STRIDE + 1];
                    for (i, sum) in sums.iter_mut().enumerate() {
                        one_pixel();
                        *sum += *factor * from[i * STRIDE];
                    }
                }
            }
            out[next..next + TILE].copy_from_slice(&sums);
            next += TILE;
        }
    }
}

/// Computes one output.
#[inline(always)]
fn one(x: &[Lane], kernel: &[Lane], (row, column): (usize, usize), s: &Conv2dShape) -> Lane {
    let mut sum = Lane::ZERO;
    for (ky, factors) in kernel.chunks_exact(s.kernel_width).enumerate() {
        let Some(from) = s.source_row(row, ky) else { continue };
        let line = &x[from * s.width..][..s.width];
        for (kx, factor) in factors.iter().enumerate() {
            let at = (column * s.stride + kx).checked_sub(s.pad_width);
            if let Some(from) = at.and_then(|at| line.get(at)) {
                sum += *factor * *from;
            }
        }
    }
    sum
}

vectorised! {
    /// Convolves a plane. Sums run over the taps, row by row of the kernel.
    fn convolve(out: &mut [Lane], x: &[Lane], kernel: &[Lane], s: &Conv2dShape) {
        match s.stride {
            1 => convolve_by::<1>(out, x, kernel, s),
            2 => convolve_by::<2>(out, x, kernel, s),
            _ => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = one(x, kernel, (i / s.out_width, i % s.out_width), s);
                }
            }
        }
    }
    /// The adjoint of [`convolve`]: adds every output's gradient to the pixels that the output was
    /// computed from.
    fn scatter(dx: &mut [Lane], dy: &[Lane], kernel: &[Lane], s: &Conv2dShape) {
        dx.fill(Lane::ZERO);
        for (row, from) in dy.chunks_exact(s.out_width).enumerate() {
            for (tap, factor) in kernel.iter().enumerate() {
                let (ky, kx) = (tap / s.kernel_width, tap % s.kernel_width);
                let Some(to) = s.source_row(row, ky) else { continue };
                let (inside, first) = s.inside(kx);
                let to = &mut dx[to * s.width..][..s.width];
                let to = to[first.min(s.width)..].iter_mut().step_by(s.stride);
                for (from, to) in from[inside].iter().zip(to) {
                    one_pixel();
                    *to += *factor * *from;
                }
            }
        }
    }
}
