//! Convolutions of images.
//!
//! The three channels of an image would leave most of a block empty. Its planes are therefore read
//! value by value, and the inner index runs through channels and taps.

use rayon::prelude::*;

use super::factors::{Kinds, Transform};
use super::finish::Finish;
use super::gradients::{Gradients, Wanted};
use super::products::{Out, Side, correlate, multiply};
use super::sums::Sums;
use super::weights::{Order, Weight};
use super::work::{self, At, Grid, Plan};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, Lane, floats_mut};
use crate::cpu::path::Path;
use crate::cpu::scratch;
use crate::geometry::Conv2dShape;

/// Approximate number of pixels processed together.
const PIXELS: usize = 192;

/// Returns what tap number `index` (counted over all channels) reads for output row `row`: the
/// start of an image row, and the column that the first output reads.
///
/// Returns `None` for a row outside the image and for indices after the last tap.
fn source(s: &Conv2dShape, index: usize, row: usize) -> Option<(usize, isize)> {
    let (channel, tap) = (index / s.taps(), index % s.taps());
    if channel >= s.in_channels {
        return None;
    }
    let (ky, kx) = (tap / s.kernel_width, tap % s.kernel_width);
    let y = s.source_row(row, ky)?;
    Some(((channel * s.height + y) * s.width, kx as isize - s.pad_width as isize))
}

/// Returns the outputs whose column lies inside the image, given the column that the first one
/// reads.
fn inside(s: &Conv2dShape, first: isize) -> std::ops::Range<usize> {
    let start = ((-first).max(0) as usize).div_ceil(s.stride).min(s.out_width);
    let end = ((s.width as isize - first).max(0) as usize).div_ceil(s.stride);
    start..end.min(s.out_width).max(start)
}

/// Lanes of a block whose taps are neighbours in an image row.
///
/// It holds the first lane, the number of lanes, the start of the row, and the first column that
/// the first output reads in it.
#[derive(Clone, Copy)]
struct Run {
    lane: usize,
    length: usize,
    start: usize,
    first: isize,
}

/// Returns the runs of a block of taps for a row of outputs.
fn runs(s: &Conv2dShape, at: At) -> impl Iterator<Item = Run> + '_ {
    let taps = at.block * LANES..((at.block + 1) * LANES).min(s.depth());
    let mut next = taps.start;
    std::iter::from_fn(move || {
        while next < taps.end {
            let index = next;
            let length = (s.kernel_width - index % s.taps() % s.kernel_width).min(taps.end - index);
            next += length;
            if let Some((start, first)) = source(s, index, at.row) {
                return Some(Run { lane: index - taps.start, length, start, first });
            }
        }
        None
    })
}

/// Writes a block of columns of a line: sixteen taps of every output.
fn columns(picture: &[f32], s: &Conv2dShape, at: At, out: &mut [Lane]) {
    let out = &mut out[..s.out_width];
    out.fill(Lane::ZERO);
    for run in runs(s, at) {
        let row = &picture[run.start..run.start + s.width];
        match run.length {
            4 => copy_runs::<4>(row, s, run, out),
            3 => copy_runs::<3>(row, s, run, out),
            _ => (0..run.length).for_each(|tap| copy_tap(row, s, (run, tap), out, 0)),
        }
    }
}

/// Copies a run of `N` taps of every output, in one step where all of them are inside the image.
fn copy_runs<const N: usize>(row: &[f32], s: &Conv2dShape, run: Run, out: &mut [Lane]) {
    let whole = whole(s, run);
    for tap in 0..N {
        copy_tap(row, s, (run, tap), &mut out[..whole.start], 0);
        copy_tap(row, s, (run, tap), &mut out[whole.end..], whole.end);
    }
    for (i, out) in whole.clone().zip(&mut out[whole]) {
        let column = (run.first + (i * s.stride) as isize) as usize;
        let (to, from) = (&mut out.0[run.lane..], &row[column..]);
        if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
            *to = *from;
        }
    }
}

/// Copies one tap of a run for the outputs from number `start` on.
fn copy_tap(
    row: &[f32],
    s: &Conv2dShape,
    (run, tap): (Run, usize),
    out: &mut [Lane],
    start: usize,
) {
    let first = run.first + (start * s.stride + tap) as isize;
    for (i, out) in out.iter_mut().enumerate() {
        let column = usize::try_from(first + (i * s.stride) as isize).ok();
        if let Some(value) = column.and_then(|column| row.get(column)) {
            out.0[run.lane + tap] = *value;
        }
    }
}

/// Adds the contribution of every output to the taps of a run.
fn add_run(row: &mut [f32], s: &Conv2dShape, run: Run, from: &[Lane]) {
    for (i, from) in from.iter().enumerate() {
        let first = run.first + (i * s.stride) as isize;
        let from = &from.0[run.lane..run.lane + run.length];
        for (tap, value) in from.iter().enumerate() {
            let column = first + tap as isize;
            if let Some(to) = usize::try_from(column).ok().and_then(|column| row.get_mut(column)) {
                *to += value;
            }
        }
    }
}

/// Returns the outputs for which all taps of a run are inside the image.
fn whole(s: &Conv2dShape, run: Run) -> std::ops::Range<usize> {
    let (first, last) = (inside(s, run.first), inside(s, run.first + run.length as isize - 1));
    first.start..last.end.max(first.start)
}

/// Convolves images `(N, C, H, W)`.
pub(super) fn forward(x: &[f32], weight: &[f32], s: &Conv2dShape, finish: Finish<'_>) -> Blocks {
    let weight = Weight::flat(weight, s, Order::OutInner);
    let mut y = Blocks::stale(Sizes::of_result(s));
    let grid = Grid { images: s.images, rows: s.out_height, columns: s.out_width };
    let length = s.in_channels * s.in_pixels();
    let input = |at: At, out: &mut [Lane], _: usize, _: &mut [Lane]| {
        columns(&x[at.image * length..][..length], s, at, out);
    };
    let plan = Plan { grid, line: 0, height: 1, weight };
    work::forward(&plan, &mut y, input, work::as_they_are, finish);
    y
}

/// Computes the gradients, one image at a time. The input's gradient is `(N, C, H, W)`.
pub(super) fn backward(
    x: &[f32],
    weight: &[f32],
    dy: &Blocks,
    s: &Conv2dShape,
    wanted: Wanted,
) -> Gradients<Vec<f32>> {
    let path = Path::best();
    let weight = Weight::flat(weight, s, Order::InnerOut);
    let mut memory = Buffer::stale(if wanted.input { weight.lanes(weight.outs()) } else { 0 });
    let weights = wanted.input.then(|| weight.packed(&mut memory));
    let (outs, depth) = (dy.sizes.blocks(), s.depth().div_ceil(LANES));
    let (length, pixels) = (s.in_channels * s.in_pixels(), s.out_pixels());
    let rows = (PIXELS / s.out_width).clamp(1, s.out_height);
    let of_image = |image: usize| {
        let gradient = &dy.lanes[image * outs * pixels..][..outs * pixels];
        let mut dx = vec![0.; if wanted.input { length } else { 0 }];
        let mut sums = wanted.weight.then(|| Sums::new(Kinds::own(1), outs, depth));
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
                    let out = Out { lanes: &mut *side, stride: count, add: false };
                    multiply(path, out, left, (weights, 0), 0..depth);
                    for block in 0..depth {
                        for (i, row) in lines.clone().enumerate() {
                            let from = &side[block * count + i * s.out_width..][..s.out_width];
                            for run in runs(s, At { image, row, block }) {
                                let row = &mut dx[run.start..run.start + s.width];
                                add_run(row, s, run, from);
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
