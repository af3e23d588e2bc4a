//! Convolutions of pictures, whose three channels would leave most of a block empty: their planes are read value by value, and
//! the inner index runs through channels and taps.

use rayon::prelude::*;

use super::products::{Side, correlate, multiply};
use super::weights::{Order, Pack, Sums, Transform, Weight};
use super::work::{self, At, Grid};
use super::{Gradients, Wanted};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, Lane, floats_mut};
use crate::geometry::Conv2dShape;
use crate::path::Path;
use crate::scratch;

/// Most channels of pictures.
pub(in super::super) const CHANNELS: usize = 4;

/// Pixels taken at once, about.
const PIXELS: usize = 192;

/// A weight whose inner index runs through channels and taps.
pub(super) fn flat<'a>(values: &'a [f32], s: &Conv2dShape, order: Order) -> Weight<'a> {
    let (inner_channels, out_channels) = match order {
        Order::OutInner => (s.depth(), s.out_channels),
        Order::InnerOut => (s.out_channels, s.depth()),
    };
    let pack = Pack { inner_channels, out_channels, ..Pack::ONE };
    Weight { values, pack, order, transform: Transform::Each }
}

/// Where tap number `index` (of all channels) of output row `row` reads: the start of a row of a picture, and the column of the
/// first output; none outside of the picture, or behind the last tap.
fn source(s: &Conv2dShape, index: usize, row: usize) -> Option<(usize, isize)> {
    let (channel, tap) = (index / s.taps(), index % s.taps());
    if channel >= s.in_channels {
        return None;
    }
    let (ky, kx) = (tap / s.kernel_width, tap % s.kernel_width);
    let y = (row * s.stride + ky).checked_sub(s.pad_height).filter(|y| *y < s.height)?;
    Some(((channel * s.height + y) * s.width, kx as isize - s.pad_width as isize))
}

/// Outputs whose column is inside the picture, for the column that the first one reads.
fn inside(s: &Conv2dShape, first: isize) -> std::ops::Range<usize> {
    let start = ((-first).max(0) as usize).div_ceil(s.stride);
    let end = ((s.width as isize - first).max(0) as usize).div_ceil(s.stride);
    start..end.min(s.out_width).max(start)
}

/// A block of columns of a line: sixteen taps of every output.
fn columns(picture: &[f32], s: &Conv2dShape, at: At, out: &mut [Lane]) {
    let out = &mut out[..s.out_width];
    out.fill(Lane::ZERO);
    for l in 0..LANES {
        let Some((start, first)) = source(s, at.block * LANES + l, at.row) else { continue };
        let row = &picture[start..start + s.width];
        for i in inside(s, first) {
            out[i].0[l] = row[(first + (i * s.stride) as isize) as usize];
        }
    }
}

/// The convolution of pictures `(N, C, H, W)`.
pub(super) fn forward(x: &[f32], weight: &[f32], s: &Conv2dShape) -> Blocks {
    let weight = flat(weight, s, Order::OutInner);
    let mut y = Blocks::stale(Sizes::of_result(s));
    let grid = Grid { images: s.images, rows: s.out_height, columns: s.out_width };
    let length = s.in_channels * s.in_pixels();
    work::forward(
        grid,
        (1, 0),
        &weight,
        &mut y,
        |at, out, _, _| columns(&x[at.image * length..][..length], s, at, out),
        |row, products, _| row.copy_from_slice(&products[..row.len()]),
    );
    y
}

/// The gradients, that of the pictures `(N, C, H, W)`; an image at a time.
pub(super) fn backward(
    x: &[f32],
    weight: &[f32],
    dy: &Blocks,
    s: &Conv2dShape,
    wanted: Wanted,
) -> Gradients<Vec<f32>> {
    let path = Path::best();
    let weight = flat(weight, s, Order::InnerOut);
    let mut memory = Buffer::stale(if wanted.input { weight.lanes(weight.outs()) } else { 0 });
    let weights = wanted.input.then(|| weight.packed(&mut memory));
    let (outs, depth) = (dy.sizes.blocks(), s.depth().div_ceil(LANES));
    let (length, pixels) = (s.in_channels * s.in_pixels(), s.out_pixels());
    let rows = (PIXELS / s.out_width).clamp(1, s.out_height);
    let of_image = |image: usize| {
        let gradient = &dy.lanes[image * outs * pixels..][..outs * pixels];
        let mut dx = vec![0.; if wanted.input { length } else { 0 }];
        let mut sums = wanted.weight.then(|| Sums::new(1, outs, depth));
        scratch::lanes([depth * rows * s.out_width], |[side]| {
            for top in (0..s.out_height).step_by(rows) {
                let lines = top..s.out_height.min(top + rows);
                let count = lines.len() * s.out_width;
                let lanes = &gradient[top * s.out_width..];
                let left = Side { lanes, stride: pixels, rows: count };
                if let Some(sums) = &mut sums {
                    for block in 0..depth {
                        for (i, row) in lines.clone().enumerate() {
                            let out = &mut side[block * count + i * s.out_width..];
                            columns(
                                &x[image * length..][..length],
                                s,
                                At { image, row, block },
                                out,
                            );
                        }
                    }
                    let right = Side { lanes: side, stride: count, rows: count };
                    let add = !std::mem::take(&mut sums.fresh);
                    correlate(path, (floats_mut(&mut sums.lanes), add), left, right, (outs, depth));
                }
                if let Some(weights) = weights {
                    multiply(path, (&mut *side, count), left, (weights, 0), 0..depth);
                    for index in 0..s.depth() {
                        for (i, row) in lines.clone().enumerate() {
                            let Some((start, first)) = source(s, index, row) else { continue };
                            let from = &side[index / LANES * count + i * s.out_width..];
                            let row = &mut dx[start..start + s.width];
                            for i in inside(s, first) {
                                let column = (first + (i * s.stride) as isize) as usize;
                                row[column] += from[i].0[index % LANES];
                            }
                        }
                    }
                }
            }
        });
        (dx, sums)
    };
    let of_images: Vec<_> = (0..s.images).into_par_iter().map(of_image).collect();
    let mut dx = Vec::with_capacity(if wanted.input { s.images * length } else { 0 });
    let mut total: Option<Sums> = None;
    for (image, sums) in of_images {
        dx.extend(image);
        total = match (total, sums) {
            (Some(mut total), Some(sums)) => {
                total.lanes.iter_mut().zip(sums.lanes.iter()).for_each(|(a, b)| *a += *b);
                Some(total)
            }
            (None, sums) | (sums, None) => sums,
        };
    }
    let dw = total.map(|sums| sums.fold((s.out_channels, s.depth()), (1, 1), Transform::Each));
    Gradients { input: wanted.input.then_some(dx), weight: dw }
}
