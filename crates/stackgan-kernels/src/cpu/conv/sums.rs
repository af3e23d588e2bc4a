//! Sums of products, and their conversion to gradients of weights.

use rayon::prelude::*;

use super::factors::{Kinds, MOST, Transform};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, Lane, floats};
use crate::cpu::transpose::across;
use crate::vectorised::vectorised;
use crate::written::written;

/// Number of lanes of sums per parallel task.
const CHUNK: usize = 1 << 10;

/// Sums of products for the gradient of a weight `(Cout, Cin, taps)`.
///
/// For each kind and each output channel (in whole blocks), these are the lanes of the inner
/// blocks.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) lanes: Buffer,
    /// Whether nothing has been added yet. The lanes then have arbitrary contents.
    pub(super) fresh: bool,
    pub(super) kinds: Kinds,
    pub(super) out_blocks: usize,
    pub(super) inner_blocks: usize,
}

impl Sums {
    /// Returns empty sums.
    pub(super) fn new(kinds: Kinds, out_blocks: usize, inner_blocks: usize) -> Self {
        let lanes = Buffer::stale(kinds.products * out_blocks * LANES * inner_blocks);
        Self { lanes, fresh: true, kinds, out_blocks, inner_blocks }
    }

    /// Returns these sums plus those of other pixels.
    pub(super) fn and(mut self, other: Self) -> Self {
        let chunks = self.lanes.par_chunks_mut(CHUNK).zip(other.lanes.par_chunks(CHUNK));
        chunks.for_each(|(sum, other)| sum.iter_mut().zip(other).for_each(|(a, b)| *a += *b));
        self
    }

    /// Returns the gradient of the weight. Each block of its channels has `groups` inner blocks.
    pub(super) fn fold(
        &self,
        (out_channels, in_channels): (usize, usize),
        (taps, groups): (usize, usize),
        transform: Transform,
    ) -> Vec<f32> {
        let row = in_channels * taps;
        written(out_channels * row, row, |channel, out| {
            fold_row(out, self, channel, (taps, groups), transform);
        })
    }
}

vectorised! {
    /// Writes the gradient of the weights of one output channel.
    fn fold_row(
        out: &mut [f32],
        sums: &Sums,
        channel: usize,
        shape: (usize, usize),
        transform: Transform,
    ) {
        let (taps, groups) = shape;
        let (mut factors, mut tapped) = ([Lane::ZERO; MOST], [Lane::ZERO; MOST + LANES]);
        let kinds = sums.kinds.products;
        let factor_count = groups * kinds;
        for (block, out) in out.chunks_mut(LANES * taps).enumerate() {
            for (j, factor) in factors[..factor_count].iter_mut().enumerate() {
                let (group, kind) = (j / kinds, j % kinds);
                let row = (kind * sums.out_blocks * LANES + channel) * sums.inner_blocks;
                *factor = sums.lanes[row + block * groups + group];
            }
            transform.fold(&factors[..factor_count], &mut tapped[..taps]);
            for first in (0..taps).step_by(LANES) {
                let width = LANES.min(taps - first);
                let mut rows = [Lane::ZERO; LANES];
                across(&mut rows, floats(&tapped[first..]), LANES, (LANES, LANES));
                for (out, row) in out.chunks_mut(taps).zip(&rows) {
                    out[first..first + width].copy_from_slice(&row.0[..width]);
                }
            }
        }
    }
}
