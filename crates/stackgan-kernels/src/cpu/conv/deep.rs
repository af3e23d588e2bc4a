//! 4x4 convolutions with far more weights than pixels.
//!
//! The last layers of Stage-II's discriminator have two million pairs of channels and sixteen
//! pixels. Any transform of their weights takes longer than the products themselves. Here the
//! sixteen taps of a channel form a lane, in the order of the weight. Columns are packed where they
//! are needed, and the packed columns stay in that core's cache.

use rayon::prelude::*;

use super::finish::Finish;
use super::gradients::{Gradients, Wanted};
use super::products::{Side, correlate};
use super::weights::{Order, Weight};
use super::work::{self, At, Grid, Plan};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, Lane};
use crate::cpu::path::Path;
use crate::cpu::tiles::Tile;
use crate::geometry::Conv2dShape;
use crate::written::written;

/// Smallest number of channel pairs for which this form pays off, for results of at most
/// [`PIXELS`].
const PAIRS: usize = 1 << 21;

/// Largest number of pixels of a small result.
const PIXELS: usize = 16;

/// Returns whether this form is used for a shape.
pub(super) fn applies(s: &Conv2dShape) -> bool {
    s.taps() == LANES && s.in_channels * s.out_channels >= PAIRS && s.out_pixels() <= PIXELS
}

fn grid(s: &Conv2dShape) -> Grid {
    Grid { images: s.images, rows: s.out_height, columns: s.out_width }
}

/// Returns the input pixel that a tap of an output reads, or `None` if it lies in the padding.
fn source(s: &Conv2dShape, (row, column): (usize, usize), tap: usize) -> Option<usize> {
    let y = s.source_row(row, tap / s.kernel_width)?;
    let x = (column * s.stride + tap % s.kernel_width).checked_sub(s.pad_width)?;
    (x < s.width).then_some(y * s.width + x)
}

/// Writes the taps of channel `at.block` for a row of outputs.
fn columns(x: &Blocks, s: &Conv2dShape, at: At, out: &mut [Lane]) {
    let plane = x.plane(at.image, at.block / LANES);
    for (column, out) in out[..s.out_width].iter_mut().enumerate() {
        *out = Lane(std::array::from_fn(|tap| {
            source(s, (at.row, column), tap).map_or(0., |pixel| plane[pixel].0[at.block % LANES])
        }));
    }
}

/// Computes the convolution.
pub(super) fn forward(x: &Blocks, weight: &[f32], s: &Conv2dShape, finish: Finish<'_>) -> Blocks {
    let mut y = Blocks::stale(Sizes::of_result(s));
    let plan = Plan {
        grid: grid(s),
        line: 0,
        height: 1,
        weight: Weight::flat(weight, s, Order::OutInner),
    };
    let input = |at: At, out: &mut [Lane], _: usize, _: &mut [Lane]| columns(x, s, at, out);
    work::forward(&plan, &mut y, input, work::as_they_are, finish);
    y
}

/// Computes the gradients.
pub(super) fn backward(
    x: &Blocks,
    weight: &[f32],
    dy: &Blocks,
    s: &Conv2dShape,
    wanted: Wanted,
) -> Gradients {
    let (grid, path) = (grid(s), Path::best());
    let all = Tile { images: 0..grid.images, rows: 0..grid.rows };
    let (outs, pixels) = (dy.sizes.blocks(), grid.pixels(&all));
    let mut left = Buffer::stale(outs * pixels);
    grid.fill(&mut left, &all, 1, 0, |at, out, _, _| {
        let row = dy.row(at.image, at.block, at.row as isize).unwrap_or_default();
        out[..row.len()].copy_from_slice(row);
    });
    let left = Side { lanes: &left, stride: pixels, rows: pixels };
    let dw = wanted.weight.then(|| {
        let mut right = Buffer::stale(s.in_channels * pixels);
        grid.fill(&mut right, &all, 1, 0, |at, out, _, _| columns(x, s, at, out));
        let right = Side { lanes: &right, stride: pixels, rows: pixels };
        written(s.out_channels * s.depth(), LANES * s.depth(), |block, out| {
            let left = Side { lanes: &left.lanes[block * pixels..], ..left };
            let rows = out.len() / s.depth();
            if rows == LANES {
                correlate(path, (out, false), left, right, (1, s.in_channels));
            } else {
                // The last channels do not fill a block: the whole block is computed, and its first
                // part is copied.
                let mut whole = vec![0.; LANES * s.depth()];
                correlate(path, (&mut whole, false), left, right, (1, s.in_channels));
                out.copy_from_slice(&whole[..out.len()]);
            }
        })
    });
    Gradients { input: wanted.input.then(|| input_gradient(weight, left, s, x.sizes)), weight: dw }
}

/// Returns the gradient of the input. Products are computed for some channels at a time, and their
/// taps are added to the planes.
fn input_gradient(weight: &[f32], left: Side<'_>, s: &Conv2dShape, sizes: Sizes) -> Blocks {
    let weight = Weight::flat(weight, s, Order::InnerOut);
    let portion = weight.portion(left.rows);
    let block = portion.outs;
    let plane = s.images * s.in_pixels(); // of one channel, in all images
    let planes = written(s.in_channels * plane, block * plane, |piece, planes| {
        let channels = planes.len() / plane;
        let outs = piece * block..piece * block + channels;
        work::in_parts(&weight, (left.lanes, left.rows), outs, portion, |products| {
            let lines = products.chunks_exact(s.out_pixels());
            for (lanes, plane) in lines.zip(planes.chunks_exact_mut(s.in_pixels())) {
                for (pixel, lane) in lanes.iter().enumerate() {
                    let at = (pixel / s.out_width, pixel % s.out_width);
                    for (tap, value) in lane.0.iter().enumerate() {
                        if let Some(pixel) = source(s, at, tap) {
                            plane[pixel] += value;
                        }
                    }
                }
            }
        });
    });
    let mut dx = Blocks::stale(sizes);
    let (blocks, pixels) = (sizes.blocks(), s.in_pixels());
    dx.lanes.par_chunks_mut(pixels).enumerate().for_each(|(i, out)| {
        let (image, first) = (i / blocks, i % blocks * LANES);
        for (pixel, out) in out.iter_mut().enumerate() {
            *out = Lane(std::array::from_fn(|l| {
                let at = ((first + l) * s.images + image) * pixels + pixel;
                if first + l < s.in_channels { planes[at] } else { 0. }
            }));
        }
    });
    dx
}
