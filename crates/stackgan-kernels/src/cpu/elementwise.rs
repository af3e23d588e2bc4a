//! Activations, sums and appended vectors of maps, pixel by pixel.

use std::sync::Arc;

use rayon::prelude::*;

use super::blocks::{Blocks, Sizes};
use super::lane::{LANES, Lane, one_pixel};
use crate::Activation;
use crate::activation::select;
use crate::vectorised::vectorised;

/// Lanes handed to a thread at once.
const CHUNK: usize = 1 << 12;

/// `a + b`, in the memory of `a` where nobody else reads it.
pub(super) fn sum(a: Arc<Blocks>, b: Arc<Blocks>) -> Blocks {
    let (mut sum, other) = match (Arc::try_unwrap(a), b) {
        (Ok(a), b) => (a, b),
        (Err(a), b) => match Arc::try_unwrap(b) {
            Ok(b) => (b, a),
            Err(b) => (copied(&a), b),
        },
    };
    let chunks = sum.lanes.par_chunks_mut(CHUNK).zip(other.lanes.par_chunks(CHUNK));
    chunks.for_each(|(sum, other)| add(sum, other));
    sum
}

fn copied(x: &Blocks) -> Blocks {
    let mut copy = Blocks::stale(x.sizes);
    let chunks = copy.lanes.par_chunks_mut(CHUNK).zip(x.lanes.par_chunks(CHUNK));
    chunks.for_each(|(copy, x)| copy.copy_from_slice(x));
    copy
}

/// The values alone, in their own memory where nobody else reads it.
pub(super) fn owned(x: Arc<Blocks>) -> Blocks {
    Arc::try_unwrap(x).unwrap_or_else(|x| copied(&x))
}

/// The activation of every value.
pub(super) fn activate(x: &Blocks, activation: Activation) -> Blocks {
    let mut y = Blocks::stale(x.sizes);
    let chunks = y.lanes.par_chunks_mut(CHUNK).zip(x.lanes.par_chunks(CHUNK));
    chunks.for_each(|(y, x)| activated(y, x, activation.slope()));
    y
}

/// The activation of `a + b`.
pub(super) fn add_activate(a: &Blocks, b: &Blocks, activation: Activation) -> Blocks {
    let mut y = Blocks::stale(a.sizes);
    let sources = a.lanes.par_chunks(CHUNK).zip(b.lanes.par_chunks(CHUNK));
    y.lanes.par_chunks_mut(CHUNK).zip(sources).for_each(|(y, (a, b))| {
        activated_sum(y, a, b, activation.slope());
    });
    y
}

/// The gradient before an activation, from its result: signs are those of the values before,
/// because no slope is negative.
pub(super) fn masked(y: &Blocks, dy: Arc<Blocks>, activation: Activation) -> Blocks {
    let mut dx = owned(dy);
    let chunks = dx.lanes.par_chunks_mut(CHUNK).zip(y.lanes.par_chunks(CHUNK));
    chunks.for_each(|(dx, y)| mask(dx, y, activation.slope()));
    dx
}

/// The gradient before bounds, from their result: none where it lies on one.
pub(super) fn within(y: &Blocks, dy: Arc<Blocks>, bounds: (f32, f32)) -> Blocks {
    let mut dx = owned(dy);
    let chunks = dx.lanes.par_chunks_mut(CHUNK).zip(y.lanes.par_chunks(CHUNK));
    chunks.for_each(|(dx, y)| pass_within(dx, y, bounds));
    dx
}

vectorised! {
    fn add(sum: &mut [Lane], other: &[Lane]) {
        for (sum, other) in sum.iter_mut().zip(other) {
            one_pixel();
            *sum += *other;
        }
    }

    fn activated(y: &mut [Lane], x: &[Lane], slope: f32) {
        for (y, x) in y.iter_mut().zip(x) {
            one_pixel();
            *y = x.zip(*x, |x, _| select(x, x, slope));
        }
    }

    fn activated_sum(y: &mut [Lane], a: &[Lane], b: &[Lane], slope: f32) {
        for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
            one_pixel();
            *y = a.zip(*b, |a, b| select(a + b, a + b, slope));
        }
    }

    /// A bias for sixteen channels, and bounds of the result, in place.
    pub(super) fn clamp(x: &mut [Lane], bias: Lane, bounds: (f32, f32)) {
        for x in x {
            one_pixel();
            *x = x.zip(bias, |x, bias| (x + bias).clamp(bounds.0, bounds.1));
        }
    }

    fn pass_within(dx: &mut [Lane], y: &[Lane], bounds: (f32, f32)) {
        for (dx, y) in dx.iter_mut().zip(y) {
            one_pixel();
            *dx = y.zip(*dx, |y, dx| if bounds.0 < y && y < bounds.1 { dx } else { 0. });
        }
    }

    fn mask(dx: &mut [Lane], y: &[Lane], slope: f32) {
        for (dx, y) in dx.iter_mut().zip(y) {
            one_pixel();
            *dx = y.zip(*dx, |y, dx| select(y, dx, slope));
        }
    }
}

/// Maps one behind the other along the channels, of which all but the last have whole blocks.
pub(super) fn join(all: &[&Blocks], sizes: Sizes) -> Blocks {
    let mut y = Blocks::stale(sizes);
    let (blocks, pixels) = (sizes.blocks(), sizes.pixels());
    y.lanes.par_chunks_mut(pixels).enumerate().for_each(|(i, out)| {
        let (image, mut block) = (i / blocks, i % blocks);
        for x in all {
            match block.checked_sub(x.sizes.blocks()) {
                Some(rest) => block = rest,
                None => return out.copy_from_slice(x.plane(image, block)),
            }
        }
    });
    y
}

/// `x` with `width` values of a vector `(N, width)` behind the channels of every pixel.
pub(super) fn append_tiled(x: &Blocks, vector: &[f32], width: usize) -> Blocks {
    let s = x.sizes;
    let mut y = Blocks::stale(Sizes { channels: s.channels + width, ..s });
    let blocks = y.sizes.blocks();
    y.lanes.par_chunks_mut(s.pixels()).enumerate().for_each(|(i, out)| {
        let (image, block) = (i / blocks, i % blocks);
        let vector = &vector[image * width..][..width];
        let behind = Lane(std::array::from_fn(|l| {
            (block * LANES + l)
                .checked_sub(s.channels)
                .and_then(|channel| vector.get(channel))
                .copied()
                .unwrap_or(0.)
        }));
        if block < s.blocks() {
            // The channels that a last block has too many are zeros.
            for (out, x) in out.iter_mut().zip(x.plane(image, block)) {
                *out = *x + behind;
            }
        } else {
            out.fill(behind);
        }
    });
    y
}

/// The first channels of maps, as many as `sizes` has.
pub(super) fn first_channels(y: &Blocks, sizes: Sizes) -> Blocks {
    let mut x = Blocks::stale(sizes);
    let blocks = sizes.blocks();
    x.lanes.par_chunks_mut(sizes.pixels()).enumerate().for_each(|(i, out)| {
        out.copy_from_slice(y.plane(i / blocks, i % blocks));
        let channels = sizes.channels - i % blocks * LANES;
        if channels < LANES {
            out.iter_mut().for_each(|lane| lane.0[channels..].fill(0.));
        }
    });
    x
}

/// The sums over the pixels of the channels from `first` on: `(N, C - first)`.
pub(super) fn sums_behind(y: &Blocks, first: usize) -> Vec<f32> {
    let s = y.sizes;
    let of_image = |image| {
        let sums: Vec<Lane> = (first / LANES..s.blocks())
            .map(|block| y.plane(image, block).iter().fold(Lane::ZERO, |sum, lane| sum + *lane))
            .collect();
        let from = first % LANES;
        let values: Vec<f32> = sums.into_iter().flat_map(|lane| lane.0).collect();
        values[from..from + s.channels - first].to_vec()
    };
    (0..s.images).into_par_iter().flat_map_iter(of_image).collect()
}
