//! How the taps of a pair of channels become the factors of products, and back.

use super::transform::{self, halve};
use crate::cpu::lane::Lane;

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
    Halve(halve::Tile),
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
    pub(super) fn factors<const STEP: usize>(self, taps: &[Lane], factors: &mut [Lane]) {
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
pub(super) const MOST: usize = halve::PHASES * halve::Tile::Four.kinds();
