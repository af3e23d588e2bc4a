//! A 4x4 convolution of stride 2 and padding 1, on tiles of 2x2 or 4x4 outputs.
//!
//! Split by parity into "phases", it is the sum of four 2x2 convolutions of stride 1 on images of
//! half the size. Along an axis the odd pixels, `p_i = x_(2i-1)`, are multiplied by the taps
//! `a = g_0`, `b = g_2`, and the even pixels, `p_i = x_(2i)`, by `a = g_1`, `b = g_3`. Each phase
//! is computed by Winograd's minimal filtering. Tiles of 2x2 outputs take 36 products over all
//! phases instead of 64 ([`two`]), and tiles of 4x4 take 100 instead of 256 ([`four`]).
//!
//! Phases are numbered `2 * vertical + horizontal`, where 0 stands for odd pixels.

mod four;
mod phases;
mod two;

use super::{Reads, Row, add_tiles, by_places, from_tiles, to_tiles};
use crate::cpu::lane::Lane;
use crate::vectorised::vectorised;
pub(crate) use phases::PHASES;

/// The number of outputs of a tile along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tile {
    Two,
    Four,
}

impl Tile {
    /// Returns this as a number.
    pub(crate) const fn outputs(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Returns the number of products along an axis, which is also the number of pixels of a phase
    /// that a tile reads.
    pub(crate) const fn along(self) -> usize {
        self.outputs() + 1
    }

    /// Returns the number of kinds of product of a phase.
    pub(crate) const fn kinds(self) -> usize {
        self.along() * self.along()
    }

    /// Returns which pixels of a phase are read.
    const fn reads(self, horizontal: usize) -> Reads {
        Reads { left: 1, first: horizontal, step: 2, side: 2 * self.outputs() }
    }

    /// Writes the factors `(phase, kind)` of 4x4 taps.
    #[inline(always)]
    pub(crate) fn factors<const STEP: usize>(self, taps: &[Lane], factors: &mut [Lane]) {
        match self {
            Self::Two => by_places::<two::Factors, 16, { PHASES * 9 }, STEP>(taps, factors),
            Self::Four => by_places::<four::Factors, 16, { PHASES * 25 }, STEP>(taps, factors),
        }
    }

    /// Writes the gradient of the taps, given the gradient of the factors.
    #[inline(always)]
    pub(crate) fn fold(self, factors: &[Lane], taps: &mut [Lane]) {
        match self {
            Self::Two => by_places::<two::Folded, { PHASES * 9 }, 16, 1>(factors, taps),
            Self::Four => by_places::<four::Folded, { PHASES * 25 }, 16, 1>(factors, taps),
        }
    }
}

vectorised! {
    /// Writes the kinds of a row of tiles for one phase, `stride` apart, from the phase's rows of
    /// pixels.
    ///
    /// All five rows are used for tiles of 4x4, the first three for tiles of 2x2. `line` has a line
    /// for each vertical kind.
    pub(crate) fn input(
        side: Tile,
        out: &mut [Lane],
        stride: usize,
        rows: [Row<'_>; 5],
        horizontal: usize,
        line: &mut [Lane],
    ) {
        let (out, reads) = ((out, stride), side.reads(horizontal));
        match side {
            Tile::Two => {
                let [a, b, c, ..] = rows;
                from_tiles::<two::Inputs, 3, 3>(out, [a, b, c], reads, line);
            }
            Tile::Four => from_tiles::<four::Inputs, 5, 5>(out, rows, reads, line),
        }
    }

    /// Writes the rows of outputs, or as many as are left, from the products of a row of tiles. The
    /// last tile may have fewer columns.
    pub(crate) fn output(
        side: Tile,
        rows: &mut [Lane],
        width: usize,
        products: &[Lane],
        stride: usize,
    ) {
        match side {
            Tile::Two => to_tiles::<two::Outputs, 3, 2>(rows, width, (products, stride)),
            Tile::Four => to_tiles::<four::Outputs, 5, 4>(rows, width, (products, stride)),
        }
    }

    /// Writes the kinds of a row of tiles from the gradient of its rows of outputs: the adjoint of
    /// [`output`].
    ///
    /// All four rows are used for tiles of 4x4, the first two for tiles of 2x2. Missing rows count
    /// as zeros.
    pub(crate) fn gradient(
        side: Tile,
        out: &mut [Lane],
        stride: usize,
        rows: [Row<'_>; 4],
        line: &mut [Lane],
    ) {
        let (out, reads) = ((out, stride), Reads::neighbours(0, side.outputs()));
        match side {
            Tile::Two => {
                let [a, b, ..] = rows;
                from_tiles::<two::Given, 2, 3>(out, [a, b], reads, line);
            }
            Tile::Four => from_tiles::<four::Given, 4, 5>(out, rows, reads, line),
        }
    }

    /// Adds the contribution of one phase of row of tiles number `line` to a plane of pixels: the
    /// adjoint of [`input`].
    pub(crate) fn scatter(
        side: Tile,
        plane: &mut [Lane],
        width: usize,
        line: usize,
        phase: usize,
        kinds: &[Lane],
        stride: usize,
    ) {
        let reads = side.reads(phase % 2);
        let top = (reads.side * line + phase / 2) as isize - 1;
        let (plane, kinds) = ((plane, width), (kinds, stride));
        let at = (top, (width / 2).div_ceil(side.outputs()));
        match side {
            Tile::Two => add_tiles::<two::Taken, 3, 3>(plane, at, reads, kinds),
            Tile::Four => add_tiles::<four::Taken, 5, 5>(plane, at, reads, kinds),
        }
    }
}
