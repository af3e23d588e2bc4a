//! 3x3 pooling.

use candle_core::{Result, bail};

/// A 3x3 pooling operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The average over the pixels inside the map; keeps the size.
    AverageInside,
    /// The average with zero padding; keeps the size.
    AveragePadded,
    /// The maximum; keeps the size.
    Largest,
    /// The maximum with stride 2 and no padding; halves the size.
    Halve,
}

impl Pool {
    /// Returns an error for maps that are too small for a window.
    pub(crate) fn check(self, height: usize, width: usize) -> Result<()> {
        if self == Self::Halve && height.min(width) < 3 {
            bail!("pool: expected maps of 3x3 or more, found {height}x{width}");
        }
        Ok(())
    }

    /// Returns the side of the result for an input of side `side`.
    pub(crate) const fn side(self, side: usize) -> usize {
        match self {
            Self::Halve => (side - 3) / 2 + 1,
            _ => side,
        }
    }

    /// Returns the start and the end of window `i` along a side.
    pub(crate) fn window(self, i: usize, side: usize) -> (usize, usize) {
        match self {
            Self::Halve => (2 * i, 2 * i + 3),
            _ => (i.saturating_sub(1), (i + 2).min(side)),
        }
    }
}
