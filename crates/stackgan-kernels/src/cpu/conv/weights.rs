//! Packs weights for products. [`super::sums`] computes their gradients.

use std::ops::Range;

use rayon::prelude::*;

use super::factors::{Kinds, MOST, Transform};
use super::packed::{Packed, SPACE};
use super::products::DEPTH;
use crate::cpu::lane::{LANES, Lane};
use crate::cpu::tiles::ENOUGH_PIECES;
use crate::cpu::transpose::{across, fetch};
use crate::geometry::Conv2dShape;
use crate::vectorised::vectorised;

/// Which of a weight's two channel axes corresponds to the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `(columns, inner, taps)`, used in the forward pass.
    OutInner,
    /// `(inner, columns, taps)`, used in the backward pass.
    InnerOut,
}

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

impl<'a> Weight<'a> {
    /// Returns a weight whose inner index runs through channels and taps.
    pub(super) fn flat(values: &'a [f32], s: &Conv2dShape, order: Order) -> Self {
        let (inner_channels, out_channels) = match order {
            Order::OutInner => (s.depth(), s.out_channels),
            Order::InnerOut => (s.out_channels, s.depth()),
        };
        let pack = Pack { inner_channels, out_channels, ..Pack::ONE };
        Self { values, pack, order, transform: Transform::Each }
    }
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
