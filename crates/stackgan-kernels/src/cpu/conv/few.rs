//! 3x3 convolutions of stride 1 and padding 1 with few output channels: the last layer of a
//! generator.
//!
//! Most of a block of results would be empty. Instead a lane holds three columns of taps for four
//! channels. One product per pixel computes three lanes, one for each row of taps. Their
//! contributions to neighbouring pixels are then shifted and added.

use rayon::prelude::*;

use super::factors::{Kinds, Transform};
use super::finish::{Finish, UNFINISHED};
use super::gradients::{Gradients, Wanted};
use super::products::{Out, Side, correlate, multiply};
use super::sums::Sums;
use super::weights::{Order, Pack, Weight};
use super::work::{self, At, Grid, Plan};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, Lane, floats, floats_mut, one_pixel};
use crate::cpu::path::Path;
use crate::cpu::scratch;
use crate::cpu::tiles::Tiling;
use crate::vectorised::vectorised;

/// Largest number of output channels.
pub(super) const CHANNELS: usize = 4;

/// Rows of taps, one lane each.
const ROWS: usize = 3;

/// Approximate number of output pixels computed together.
const TOGETHER: usize = 4096;

/// Returns the position of an output channel's tap among the values of three lanes.
const fn place(channel: usize, ky: usize, kx: usize) -> usize {
    ky * LANES + kx * CHANNELS + channel
}

/// Rearranges the weight `(Cout, Cin, 3, 3)` to `(48, Cin)`.
fn taps(weight: &[f32], channels: usize) -> Vec<f32> {
    let mut taps = vec![0.; ROWS * LANES * channels];
    for (index, kernel) in weight.chunks_exact(9).enumerate() {
        for (tap, value) in kernel.iter().enumerate() {
            let row = place(index / channels, tap / 3, tap % 3);
            taps[row * channels + index % channels] = *value;
        }
    }
    taps
}

/// Returns rows of an image, in all blocks of channels, without copying.
fn rows_of(x: &Blocks, image: usize, rows: std::ops::Range<usize>) -> Side<'_> {
    let (s, pixels) = (x.sizes, x.sizes.pixels());
    let start = image * s.blocks() * pixels + rows.start * s.width;
    let end = (image + 1) * s.blocks() * pixels;
    Side { lanes: &x.lanes[start..end], stride: pixels, rows: rows.len() * s.width }
}

/// Computes the convolution.
pub(super) fn forward(
    x: &Blocks,
    weight: &[f32],
    out_channels: usize,
    finish: Finish<'_>,
) -> Blocks {
    let s = x.sizes;
    let taps = taps(weight, s.channels);
    let pack = Pack { inner_channels: s.channels, out_channels: ROWS * LANES, ..Pack::ONE };
    let order = Order::OutInner;
    let weight = Weight { values: &taps, pack, order, transform: Transform::Each };
    let mut memory = Buffer::stale(weight.lanes(weight.outs()));
    let weights = weight.packed(&mut memory);
    let mut y = Blocks::stale(Sizes { channels: out_channels, ..s });
    let tiling = Tiling::new(s.images, s.height, s.width, TOGETHER);
    tiling.pieces(&mut y.lanes, (1, 1), (s.pixels(), s.width)).into_par_iter().for_each(|piece| {
        let rows = piece.tile.rows;
        let read = rows.start.saturating_sub(1)..s.height.min(rows.end + 1);
        let pixels = read.len() * s.width;
        scratch::lanes([ROWS * pixels, s.width + 2], |[products, line]| {
            for (image, plane) in piece.tile.images.clone().zip(piece.planes) {
                let left = rows_of(x, image, read.clone());
                let out = Out { lanes: &mut *products, stride: pixels, add: false };
                multiply(Path::best(), out, left, (weights, 0), 0..ROWS);
                for (row, out) in rows.clone().zip(plane.chunks_exact_mut(s.width)) {
                    let lanes: [Option<&[Lane]>; ROWS] = std::array::from_fn(|ky| {
                        let from = (row + ky).checked_sub(1).filter(|from| *from < s.height)?;
                        let at = ky * pixels + (from - read.start) * s.width;
                        Some(&products[at..at + s.width])
                    });
                    shifted(out, lanes, line);
                    finish(0, out);
                }
            }
        });
    });
    y
}

/// Writes the lanes of gradient pixels to which a pixel of the input contributes.
fn columns(dy: &Blocks, at: At, out: &mut [Lane]) {
    let width = dy.sizes.width;
    // Tap row ky reads the output one row up from here for ky = 2, and one row down for ky = 0.
    match dy.row(at.image, 0, at.row as isize + 1 - at.block as isize) {
        Some(row) => spread(&mut out[..width], row),
        None => out[..width].fill(Lane::ZERO),
    }
}

/// Computes the gradients.
pub(super) fn backward(x: &Blocks, weight: &[f32], dy: &Blocks, wanted: Wanted) -> Gradients {
    let (s, outs) = (x.sizes, dy.sizes);
    let dx = wanted.input.then(|| {
        let taps = taps(weight, s.channels);
        let pack = Pack { inner_channels: ROWS * LANES, out_channels: s.channels, ..Pack::ONE };
        let order = Order::InnerOut;
        let weight = Weight { values: &taps, pack, order, transform: Transform::Each };
        let mut dx = Blocks::stale(s);
        let grid = Grid { images: s.images, rows: s.height, columns: s.width };
        let plan = Plan { grid, line: 0, height: 1, weight };
        let input = |at: At, out: &mut [Lane], _: usize, _: &mut [Lane]| columns(dy, at, out);
        work::forward(&plan, &mut dx, input, work::as_they_are, UNFINISHED);
        dx
    });
    Gradients { input: dx, weight: wanted.weight.then(|| weight_gradient(x, dy, outs.channels)) }
}

fn weight_gradient(x: &Blocks, dy: &Blocks, out_channels: usize) -> Vec<f32> {
    let s = x.sizes;
    let rows = (TOGETHER / 4 / s.width).clamp(1, s.height);
    let of_image = |image: usize| {
        let mut sums = Sums::new(Kinds::own(1), ROWS, s.blocks());
        scratch::lanes([ROWS * rows * s.width], |[side]| {
            for top in (0..s.height).step_by(rows) {
                let lines = top..s.height.min(top + rows);
                let pixels = lines.len() * s.width;
                for block in 0..ROWS {
                    for (i, row) in lines.clone().enumerate() {
                        let out = &mut side[block * pixels + i * s.width..];
                        columns(dy, At { image, row, block }, out);
                    }
                }
                let left = Side { lanes: side, stride: pixels, rows: pixels };
                let right = rows_of(x, image, lines);
                let add = !std::mem::take(&mut sums.fresh);
                let out = (floats_mut(&mut sums.lanes), add);
                correlate(Path::best(), out, left, right, (ROWS, s.blocks()));
            }
        });
        sums
    };
    let of_images: Vec<Sums> = (0..s.images).into_par_iter().map(of_image).collect();
    let width = s.blocks() * LANES;
    let mut dw = vec![0.; out_channels * s.channels * 9];
    for sums in &of_images {
        let sums = floats(&sums.lanes);
        for (index, kernel) in dw.chunks_exact_mut(9).enumerate() {
            for (tap, value) in kernel.iter_mut().enumerate() {
                let row = place(index / s.channels, tap / 3, tap % 3);
                *value += sums[row * width + index % s.channels];
            }
        }
    }
    dw
}

vectorised! {
    /// Writes a row of results from the three rows of lanes around it.
    fn shifted(out: &mut [Lane], lanes: [Option<&[Lane]>; ROWS], line: &mut [Lane]) {
        line.fill(Lane::ZERO);
        let end = line.len() - 1;
        for row in lanes.into_iter().flatten() {
            for (sum, lane) in line[1..end].iter_mut().zip(row) {
                one_pixel();
                *sum += *lane;
            }
        }
        for (i, out) in out.iter_mut().enumerate() {
            let mut sum = Lane::ZERO;
            for c in 0..CHANNELS {
                let [left, here, right] = [0, 1, 2].map(|kx| line[i + kx].0[kx * CHANNELS + c]);
                sum.0[c] = left + here + right;
            }
            *out = sum;
        }
    }

    /// Writes, for every pixel of a row, the gradients at that pixel and its two neighbours that
    /// its taps 0, 1 and 2 reach.
    fn spread(out: &mut [Lane], row: &[Lane]) {
        let width = row.len();
        for (i, out) in out.iter_mut().enumerate() {
            let mut lane = Lane::ZERO;
            for kx in 0..3 {
                let Some(from) = (i + 1).checked_sub(kx).filter(|from| *from < width) else { continue };
                let values = &row[from].0[..CHANNELS];
                lane.0[kx * CHANNELS..(kx + 1) * CHANNELS].copy_from_slice(values);
            }
            *out = lane;
        }
    }
}
