//! Pools of 3x3 pixels.

use candle_core::{Result, bail};

/// A 3x3 pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The average of what lies inside of the map; keeps the size.
    AverageInside,
    /// The average with zeros around the map; keeps the size.
    AveragePadded,
    /// The largest; keeps the size.
    Largest,
    /// The largest with stride 2 and no padding; halves the size.
    Halve,
}

impl Pool {
    /// Refuses maps that have no place for a window.
    pub(crate) fn check(self, height: usize, width: usize) -> Result<()> {
        if self == Self::Halve && height.min(width) < 3 {
            bail!("pool: expected maps of 3x3 or more, found {height}x{width}");
        }
        Ok(())
    }

    /// The side of the result.
    pub(crate) const fn side(self, side: usize) -> usize {
        match self {
            Self::Halve => (side - 3) / 2 + 1,
            _ => side,
        }
    }

    /// The window of place `i` along a side: its beginning and its end.
    pub(crate) fn window(self, i: usize, side: usize) -> (usize, usize) {
        match self {
            Self::Halve => (2 * i, 2 * i + 3),
            _ => (i.saturating_sub(1), (i + 2).min(side)),
        }
    }
}
