//! The layout in which products read weights.

use crate::cpu::lane::{LANES, Lane};

/// Weights packed for products.
///
/// Blocks of columns are packed in pairs (the last may be alone). For each pair, the order is:
/// block of the inner index, block of the pair, kind, and then the lanes of sixteen inner indices.
/// What is packed together (the kinds of sixteen inner channels and a block of columns) thus lies
/// on few pages and fits into a first-level cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    pub(super) lanes: &'a [Lane],
    pub(super) kinds: usize,
    /// Number of blocks of the inner index.
    pub(super) depth: usize,
    /// Number of blocks of columns.
    pub(super) outs: usize,
}

/// Lanes from one kind to the next.
///
/// One lane is left unused. Without it the kinds of a channel, which are written one after the
/// other, would be whole kilobytes apart and compete for the same few cache sets.
pub(super) const SPACE: usize = LANES + 1;

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
