//! Weights as products read them. Their gradients: [`super::sums`].

use std::ops::Range;

use rayon::prelude::*;

use super::products::DEPTH;
use super::transform::{self, halve};
use crate::cpu::lane::{LANES, Lane};
use crate::cpu::tiles::ENOUGH_PIECES;
use crate::cpu::transpose::{across, fetch};
use crate::vectorised::vectorised;

/// Weights for products: of two blocks of columns after another (the last may be alone), for each block of the inner index, each of
/// the two and each kind, the lanes of sixteen inner indices.
///
/// So what is packed together, the kinds of sixteen inner channels and a block of columns, lies on few pages and fits a first-level
/// cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    lanes: &'a [Lane],
    kinds: usize,
    /// Blocks of the inner index.
    pub(super) depth: usize,
    /// Blocks of columns.
    pub(super) outs: usize,
}

/// Lanes from a kind to the next: one to spare, without which the kinds of a channel, written one after the other, would lie whole
/// kilobytes apart, where a cache has few places.
const SPACE: usize = LANES + 1;

/// The weights of one kind and one or two blocks of columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel<'a> {
    /// From the first block of the inner index on.
    pub(super) lanes: &'a [Lane],
    /// Blocks of columns: one or two.
    pub(super) wide: usize,
    /// Lanes from a block of columns to the next.
    pub(super) column: usize,
    /// Lanes from a block of the inner index to the next.
    pub(super) block: usize,
}

impl<'a> Packed<'a> {
    /// The weights of the columns of `block`, an even number, and of the next if there is one, from inner block `first` on.
    pub(super) fn panel(&self, kind: usize, block: usize, first: usize) -> Panel<'a> {
        let wide = 2.min(self.outs - block);
        let column = self.kinds * SPACE;
        let start = (block * self.depth + first * wide) * column + kind * SPACE;
        let end = (block + wide) * self.depth * column;
        Panel { lanes: &self.lanes[start..end], wide, column, block: wide * column }
    }
}

/// Which of a weight's two axes of channels is that of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `(columns, inner, taps)`: forward.
    OutInner,
    /// `(inner, columns, taps)`: backward.
    InnerOut,
}

/// How the taps of two channels become factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    /// A factor for each tap.
    Each,
    /// 25 kinds of an up-sampling.
    Up,
    /// Sixteen kinds of a 3x3 convolution; flipped: with the taps reversed.
    Two { flipped: bool },
    /// 36 kinds of the same.
    Four { flipped: bool },
    /// For each of four phases of a 4x4 convolution of stride 2, nine kinds or 25.
    Halve(halve::Side),
}

/// Kinds of product, and the sums of pixels that they read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    pub(super) products: usize,
    pub(super) sums: usize,
    /// The sum that a kind reads.
    pub(super) sum_of: fn(usize) -> usize,
}

impl Kinds {
    /// Every kind reads a sum of its own.
    pub(super) const fn own(products: usize) -> Self {
        Self { products, sums: products, sum_of: |kind| kind }
    }

    /// Those of an up-sampling.
    pub(super) const UP: Self = {
        use transform::up::{KINDS, SUMS, sum_of};
        Self { products: KINDS, sums: SUMS, sum_of }
    };
}

impl Transform {
    /// Factors `(groups, kinds)` of the taps of two channels, `STEP` lanes apart.
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

    /// The gradient of the taps from that of the factors.
    #[inline(always)]
    pub(super) fn fold(self, factors: &[Lane], taps: &mut [Lane]) {
        match self {
            Self::Each | Self::Four { .. } => taps.copy_from_slice(factors), // the latter has none
            Self::Up => transform::up::fold(factors, taps),
            Self::Two { .. } => transform::two::fold(factors, taps),
            Self::Halve(side) => side.fold(factors, taps),
        }
    }
}

/// 3x3 taps in the opposite order.
#[inline(always)]
fn flipped(taps: &[Lane]) -> [Lane; 9] {
    std::array::from_fn(|tap| taps[8 - tap])
}

/// Most factors of two channels; there are fewer taps.
pub(super) const MOST: usize = halve::PHASES * halve::Side::Four.kinds();

/// What is packed. Factors number `kinds * inner_groups * out_groups`, kinds fastest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pack {
    pub(super) taps: usize,
    pub(super) kinds: usize,
    /// Blocks `block * inner_groups + group` of the inner index.
    pub(super) inner_groups: usize,
    pub(super) inner_channels: usize,
    /// Blocks `block * out_groups + group` of columns.
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

    /// Blocks of columns.
    fn outs(&self) -> usize {
        self.out_groups * self.out_channels.div_ceil(LANES)
    }
}

/// A part of a weight: blocks of columns and of the inner index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portion {
    pub(super) outs: usize,
    pub(super) inner: usize,
}

/// A weight, and how it is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight<'a> {
    pub(super) values: &'a [f32],
    pub(super) pack: Pack,
    pub(super) order: Order,
    pub(super) transform: Transform,
}

impl Weight<'_> {
    /// Blocks of columns.
    pub(super) fn outs(&self) -> usize {
        self.pack.outs()
    }

    /// Kinds of its products with pixels.
    pub(super) fn kinds(&self) -> Kinds {
        if self.transform == Transform::Up { Kinds::UP } else { Kinds::own(self.pack.kinds) }
    }

    /// Blocks of the inner index.
    pub(super) fn depth(&self) -> usize {
        self.pack.inner_groups * self.pack.inner_blocks()
    }

    /// Lanes of packed weights for some blocks of columns.
    pub(super) fn lanes(&self, outs: usize) -> usize {
        self.lanes_of(outs, self.depth())
    }

    /// Those of some blocks of the inner index.
    pub(super) fn lanes_of(&self, outs: usize, inner: usize) -> usize {
        self.pack.kinds * inner * SPACE * outs
    }

    /// What is packed at once for so many pixels of each kind: so that packed weights and products stay in a second-level cache, and
    /// the pixels are read again as rarely as that allows.
    pub(super) fn portion(&self, pixels: usize) -> Portion {
        const WEIGHTS: usize = 10 << 10; // lanes: 640 KiB
        const PRODUCTS: usize = 12 << 10;
        let most = self.outs().div_ceil(ENOUGH_PIECES).next_multiple_of(2);
        // Whole channels, and what products take at once.
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

    /// Blocks of channels whose columns are packed together: those columns are an even number.
    pub(super) fn step(&self) -> usize {
        if self.pack.out_groups.is_multiple_of(2) { 1 } else { 2 }
    }

    /// Blocks of columns whose packed weights leave room in the second-level cache: whole channels, an even number.
    fn together(&self) -> usize {
        const LANES_OF_CACHE: usize = 1 << 13; // half a megabyte
        let step = self.step() * self.pack.out_groups;
        (LANES_OF_CACHE / self.lanes(step)).max(1) * step
    }

    /// The packed weights, by all threads, in memory of [`Self::lanes`].
    pub(super) fn packed<'a>(&self, lanes: &'a mut [Lane]) -> Packed<'a> {
        let outs = self.outs();
        let chunk = self.lanes(self.step() * self.pack.out_groups);
        lanes[..self.lanes(outs)].par_chunks_mut(chunk).enumerate().for_each(|(i, out)| {
            pack_chunk(out, self, i * self.step(), 0..self.pack.inner_blocks());
        });
        Packed { lanes, kinds: self.pack.kinds, depth: self.depth(), outs }
    }

    /// Those of some blocks of columns and of the inner index, by this thread. Both begin at whole channels, the columns at an
    /// even number.
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
    /// Packs the columns of one or two blocks of channels from `first` on, of some blocks of inner channels.
    fn pack_chunk(out: &mut [Lane], weight: &Weight<'_>, first: usize, inner_blocks: Range<usize>) {
        let s = weight.pack;
        let depth = s.inner_groups * inner_blocks.len();
        let outs = out.len() / (s.kinds * depth * SPACE); // blocks of columns here
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

/// The taps of inner channel `k` and the columns' channels from `channel` on, `width` of them, as lanes.
#[inline(always)]
fn gather<'a>(
    weight: &Weight<'_>,
    (channel, width): (usize, usize),
    k: usize,
    gathered: &'a mut [Lane],
) -> &'a [Lane] {
    let Weight { values, pack: s, order, .. } = *weight;
    match order {
        // The taps of sixteen inner channels are neighbours: they are gathered together.
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
            fetch(from, 4 * s.out_channels * s.taps, s.taps + 1); // those of a channel to come
            for first in (0..s.taps).step_by(LANES) {
                let part = (width, LANES.min(s.taps - first));
                across(&mut gathered[first..], &from[first..], s.taps, part);
            }
            &gathered[..s.taps]
        }
    }
}
