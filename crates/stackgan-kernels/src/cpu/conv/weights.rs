//! Weights in the layout that products read. [`super::sums`] computes their gradients.

use std::ops::Range;

use rayon::prelude::*;

use super::products::DEPTH;
use super::transform::{self, halve};
use crate::cpu::lane::{LANES, Lane};
use crate::cpu::tiles::ENOUGH_PIECES;
use crate::cpu::transpose::{across, fetch};
use crate::vectorised::vectorised;

/// Weights packed for products.
///
/// Blocks of columns are packed in pairs (the last may be alone). For each pair, the order is:
/// block of the inner index, block of the pair, kind, and then the lanes of sixteen inner indices.
/// What is packed together (the kinds of sixteen inner channels and a block of columns) thus lies
/// on few pages and fits into a first-level cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    lanes: &'a [Lane],
    kinds: usize,
    /// Number of blocks of the inner index.
    pub(super) depth: usize,
    /// Number of blocks of columns.
    pub(super) outs: usize,
}

/// Lanes from one kind to the next.
///
/// One lane is left unused. Without it the kinds of a channel, which are written one after the
/// other, would be whole kilobytes apart and compete for the same few cache sets.
const SPACE: usize = LANES + 1;

/// The weights of one kind for one or two blocks of columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel<'a> {
    /// The lanes, from the requested block of the inner index on.
    pub(super) lanes: &'a [Lane],
    /// Number of blocks of columns: one or two.
    pub(super) wide: usize,
    /// Lanes from one block of columns to the next.
    pub(super) column: usize,
    /// Lanes from one block of the inner index to the next.
    pub(super) block: usize,
}

impl<'a> Packed<'a> {
    /// Returns the weights of the columns of `block` (an even number) and of the next block if
    /// there is one, from inner block `first` on.
    pub(super) fn panel(&self, kind: usize, block: usize, first: usize) -> Panel<'a> {
        let wide = 2.min(self.outs - block);
        let column = self.kinds * SPACE;
        let start = (block * self.depth + first * wide) * column + kind * SPACE;
        let end = (block + wide) * self.depth * column;
        Panel { lanes: &self.lanes[start..end], wide, column, block: wide * column }
    }
}

/// Which of a weight's two channel axes corresponds to the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `(columns, inner, taps)`, used in the forward pass.
    OutInner,
    /// `(inner, columns, taps)`, used in the backward pass.
    InnerOut,
}

/// How the taps of a pair of channels become factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    /// One factor for each tap.
    Each,
    /// The 25 kinds of an up-sampling convolution.
    Up,
    /// The sixteen kinds of a 3x3 convolution, with the taps reversed if `flipped`.
    Two { flipped: bool },
    /// The 36 kinds of a 3x3 convolution, with the taps reversed if `flipped`.
    Four { flipped: bool },
    /// Nine or 25 kinds for each of the four phases of a 4x4 convolution of stride 2.
    Halve(halve::Side),
}

/// The numbers of kinds of product and of the sums of pixels that they read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    pub(super) products: usize,
    pub(super) sums: usize,
    /// Returns the sum that a kind reads.
    pub(super) sum_of: fn(usize) -> usize,
}

impl Kinds {
    /// Returns kinds that each read a separate sum.
    pub(super) const fn own(products: usize) -> Self {
        Self { products, sums: products, sum_of: |kind| kind }
    }

    /// The kinds of an up-sampling convolution.
    pub(super) const UP: Self = {
        use transform::up::{KINDS, SUMS, sum_of};
        Self { products: KINDS, sums: SUMS, sum_of }
    };
}

impl Transform {
    /// Writes the factors `(groups, kinds)` of the taps of two channels, `STEP` lanes apart.
    #[inline(always)]
    fn factors<const STEP: usize>(self, taps: &[Lane], factors: &mut [Lane]) {
        match self {
            Self::Each => {
                for (factor, tap) in factors.iter_mut().step_by(STEP).zip(taps) {
                    *factor = *tap;
                }
            }
            Self::Up => transform::up::factors::<STEP>(taps, factors),
            Self::Two { flipped: false } => transform::two::factors::<STEP>(taps, factors),
            Self::Two { flipped: true } => transform::two::factors::<STEP>(&flipped(taps), factors),
            Self::Four { flipped: false } => transform::four::factors::<STEP>(taps, factors),
            Self::Four { flipped: true } => {
                transform::four::factors::<STEP>(&flipped(taps), factors);
            }
            Self::Halve(side) => side.factors::<STEP>(taps, factors),
        }
    }

    /// Writes the gradient of the taps, given the gradient of the factors.
    #[inline(always)]
    pub(super) fn fold(self, factors: &[Lane], taps: &mut [Lane]) {
        match self {
            Self::Each | Self::Four { .. } => taps.copy_from_slice(factors), // `Four` never folds
            Self::Up => transform::up::fold(factors, taps),
            Self::Two { .. } => transform::two::fold(factors, taps),
            Self::Halve(side) => side.fold(factors, taps),
        }
    }
}

/// Returns 3x3 taps in reverse order.
#[inline(always)]
fn flipped(taps: &[Lane]) -> [Lane; 9] {
    std::array::from_fn(|tap| taps[8 - tap])
}

/// Largest number of factors of a pair of channels. The number of taps is smaller.
pub(super) const MOST: usize = halve::PHASES * halve::Side::Four.kinds();

/// The sizes of a packed weight. There are `kinds * inner_groups * out_groups` factors, with kinds
/// varying fastest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pack {
    pub(super) taps: usize,
    pub(super) kinds: usize,
    /// The inner index has blocks `block * inner_groups + group`.
    pub(super) inner_groups: usize,
    pub(super) inner_channels: usize,
    /// The columns have blocks `block * out_groups + group`.
    pub(super) out_groups: usize,
    pub(super) out_channels: usize,
}

impl Pack {
    /// One tap of one channel.
    pub(super) const ONE: Self = Self {
        taps: 1,
        kinds: 1,
        inner_groups: 1,
        inner_channels: 1,
        out_groups: 1,
        out_channels: 1,
    };

    fn inner_blocks(&self) -> usize {
        self.inner_channels.div_ceil(LANES)
    }

    /// Returns the number of blocks of columns.
    fn outs(&self) -> usize {
        self.out_groups * self.out_channels.div_ceil(LANES)
    }
}

/// A part of a weight: numbers of blocks of columns and of the inner index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portion {
    pub(super) outs: usize,
    pub(super) inner: usize,
}

/// A weight and how it is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight<'a> {
    pub(super) values: &'a [f32],
    pub(super) pack: Pack,
    pub(super) order: Order,
    pub(super) transform: Transform,
}

impl Weight<'_> {
    /// Returns the number of blocks of columns.
    pub(super) fn outs(&self) -> usize {
        self.pack.outs()
    }

    /// Returns the kinds of its products with pixels.
    pub(super) fn kinds(&self) -> Kinds {
        if self.transform == Transform::Up { Kinds::UP } else { Kinds::own(self.pack.kinds) }
    }

    /// Returns the number of blocks of the inner index.
    pub(super) fn depth(&self) -> usize {
        self.pack.inner_groups * self.pack.inner_blocks()
    }

    /// Returns the number of lanes of packed weights for some blocks of columns.
    pub(super) fn lanes(&self, outs: usize) -> usize {
        self.lanes_of(outs, self.depth())
    }

    /// Returns the number of lanes of packed weights for some blocks of columns and of the inner
    /// index.
    pub(super) fn lanes_of(&self, outs: usize, inner: usize) -> usize {
        self.pack.kinds * inner * SPACE * outs
    }

    /// Returns the portion that is packed at once, given the number of pixels of each kind.
    ///
    /// Packed weights and products of a portion stay in a second-level cache, and the pixels are
    /// read as few times as that allows.
    pub(super) fn portion(&self, pixels: usize) -> Portion {
        const WEIGHTS: usize = 10 << 10; // lanes: 640 KiB
        const PRODUCTS: usize = 12 << 10;
        let most = self.outs().div_ceil(ENOUGH_PIECES).next_multiple_of(2);
        // Whole channels, and what one product processes together.
        let groups = self.pack.inner_groups;
        let least = if DEPTH.is_multiple_of(groups) { DEPTH } else { self.depth() };
        let fits = |outs: &usize| {
            outs * self.pack.kinds * pixels <= PRODUCTS && self.lanes_of(*outs, least) <= WEIGHTS
        };
        let Some(outs) = (2..most + 1).step_by(2).rev().find(fits) else {
            return Portion { outs: self.together().min(most), inner: self.depth() };
        };
        let times = WEIGHTS / self.lanes_of(outs, least);
        Portion { outs, inner: (least * times).min(self.depth()) }
    }

    /// Returns the number of blocks of channels whose columns are packed together. The number of
    /// these columns' blocks is even.
    pub(super) fn step(&self) -> usize {
        if self.pack.out_groups.is_multiple_of(2) { 1 } else { 2 }
    }

    /// Returns the number of blocks of columns whose packed weights leave room in the second-level
    /// cache. They are whole channels and an even number.
    fn together(&self) -> usize {
        const LANES_OF_CACHE: usize = 1 << 13; // half a megabyte
        let step = self.step() * self.pack.out_groups;
        (LANES_OF_CACHE / self.lanes(step)).max(1) * step
    }

    /// Packs the weight with all threads into memory of [`Self::lanes`] lanes.
    pub(super) fn packed<'a>(&self, lanes: &'a mut [Lane]) -> Packed<'a> {
        let outs = self.outs();
        let chunk = self.lanes(self.step() * self.pack.out_groups);
        lanes[..self.lanes(outs)].par_chunks_mut(chunk).enumerate().for_each(|(i, out)| {
            pack_chunk(out, self, i * self.step(), 0..self.pack.inner_blocks());
        });
        Packed { lanes, kinds: self.pack.kinds, depth: self.depth(), outs }
    }

    /// Packs some blocks of columns and of the inner index on this thread.
    ///
    /// Both ranges begin at whole channels, and that of the columns at an even number.
    pub(super) fn part<'a>(
        &self,
        lanes: &'a mut [Lane],
        outs: Range<usize>,
        inner: Range<usize>,
    ) -> Packed<'a> {
        let Pack { kinds, inner_groups, out_groups, .. } = self.pack;
        let first = outs.start / out_groups;
        let chunk = self.lanes_of(self.step() * out_groups, inner.len());
        let channels = inner.start / inner_groups..inner.end / inner_groups;
        for (i, out) in
            lanes[..self.lanes_of(outs.len(), inner.len())].chunks_mut(chunk).enumerate()
        {
            pack_chunk(out, self, first + i * self.step(), channels.clone());
        }
        Packed { lanes, kinds, depth: inner.len(), outs: outs.len() }
    }
}

vectorised! {
    /// Packs the columns of one or two blocks of channels from `first` on, for some blocks of inner
    /// channels.
    fn pack_chunk(out: &mut [Lane], weight: &Weight<'_>, first: usize, inner_blocks: Range<usize>) {
        let s = weight.pack;
        let depth = s.inner_groups * inner_blocks.len();
        let outs = out.len() / (s.kinds * depth * SPACE); // number of blocks of columns in `out`
        let count = s.kinds * s.inner_groups * s.out_groups;
        let (mut factors, mut places) = ([Lane::ZERO; MOST], [(0, 0); MOST]);
        let mut gathered = vec![Lane::ZERO; LANES * (s.taps + 1)];
        for block in 0..outs / s.out_groups {
            let channel = (first + block) * LANES;
            let width = LANES.min(s.out_channels - channel);
            for (j, place) in places[..count].iter_mut().enumerate() {
                let (group, kind) = (j / s.kinds, j % s.kinds);
                let (out_group, inner_group) = (group / s.inner_groups, group % s.inner_groups);
                let column = block * s.out_groups + out_group;
                let pair = column / 2 * 2;
                let wide = 2.min(outs - pair);
                let start = (pair * depth + inner_group * wide + column % 2) * s.kinds + kind;
                *place = (start * SPACE, s.inner_groups * wide * s.kinds * SPACE);
            }
            for inner_block in inner_blocks.clone() {
                for i in 0..LANES {
                    let k = inner_block * LANES + i;
                    if k >= s.inner_channels {
                        for (place, _) in &places[..count] {
                            out[place + i] = Lane::ZERO;
                        }
                        continue;
                    }
                    let taps = gather(weight, (channel, width), k, &mut gathered);
                    if count == s.kinds {
                        weight.transform.factors::<SPACE>(taps, &mut out[places[0].0 + i..]);
                        continue;
                    }
                    weight.transform.factors::<1>(taps, &mut factors[..count]);
                    for (factor, (place, _)) in factors[..count].iter().zip(&places) {
                        out[place + i] = *factor;
                    }
                }
                for (place, next) in &mut places[..count] {
                    *place += *next;
                }
            }
        }
    }
}

/// Returns the taps between inner channel `k` and the `width` column channels from `channel` on, as
/// lanes.
#[inline(always)]
fn gather<'a>(
    weight: &Weight<'_>,
    (channel, width): (usize, usize),
    k: usize,
    gathered: &'a mut [Lane],
) -> &'a [Lane] {
    let Weight { values, pack: s, order, .. } = *weight;
    match order {
        // The taps of sixteen inner channels are adjacent, so they are gathered together.
        Order::OutInner => {
            if k.is_multiple_of(LANES) {
                let row = s.inner_channels * s.taps;
                let from = &values[channel * row + k * s.taps..];
                let values = LANES.min(s.inner_channels - k) * s.taps;
                for first in (0..values).step_by(LANES) {
                    let part = (width, LANES.min(values - first));
                    across(&mut gathered[first..], &from[first..], row, part);
                }
            }
            &gathered[k % LANES * s.taps..][..s.taps]
        }
        Order::InnerOut if s.taps == 1 => {
            let from = &values[k * s.out_channels + channel..];
            fetch(from, 16 * s.out_channels, 1);
            if let Some(sixteen) = from.first_chunk().filter(|_| width == LANES) {
                gathered[0] = Lane(*sixteen);
            } else {
                gathered[0].0[..width].copy_from_slice(&from[..width]);
                gathered[0].0[width..].fill(0.);
            }
            &gathered[..1]
        }
        Order::InnerOut => {
            let from = &values[(k * s.out_channels + channel) * s.taps..];
            fetch(from, 4 * s.out_channels * s.taps, s.taps + 1); // those of a later channel
            for first in (0..s.taps).step_by(LANES) {
                let part = (width, LANES.min(s.taps - first));
                across(&mut gathered[first..], &from[first..], s.taps, part);
            }
            &gathered[..s.taps]
        }
    }
}
