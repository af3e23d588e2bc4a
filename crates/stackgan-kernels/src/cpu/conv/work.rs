//! How the work of a convolution is cut: lines of tiles, transformed, multiplied, transformed back.
//!
//! A transformed side is `(blocks, kinds, pixels)` lanes; a "pixel" here is a tile's place. Work is cut by shape alone.

use std::ops::Range;

use rayon::prelude::*;

use super::products::{Side, correlate, multiply};
use super::weights::{Packed, Sums};
use crate::cpu::blocks::Blocks;
use crate::cpu::lane::{LANES, Lane};
use crate::path::Path;
use crate::scratch;
use crate::tiles::{ENOUGH_PIECES, Piece, Tile, Tiling};

/// The tiles of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) images: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// A line of tiles of a block of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) block: usize,
}

/// Pixels that are transformed and multiplied together, about.
const TOGETHER: usize = 192;

/// Pixels whose products are added to the gradient of a weight together, about.
pub(super) const SUMMED: usize = 512;

impl Grid {
    /// Tiles of about `target` pixels.
    pub(super) fn tiling(&self, target: usize) -> Tiling {
        Tiling::new(self.images, self.rows, self.columns, target)
    }

    /// The lines of a tile, counted through all images.
    fn lines(&self, tile: &Tile) -> Range<usize> {
        let first = tile.images.start * self.rows + tile.rows.start;
        first..first + tile.images.len() * tile.rows.len()
    }

    /// Pixels of a tile.
    pub(super) fn pixels(&self, tile: &Tile) -> usize {
        self.lines(tile).len() * self.columns
    }

    /// The kinds of one block for the lines of a tile, by `fill(at, out, pixels, line)` for each line.
    fn fill_block(
        &self,
        out: &mut [Lane],
        tile: &Tile,
        block: usize,
        line: &mut [Lane],
        fill: &impl Fn(At, &mut [Lane], usize, &mut [Lane]),
    ) {
        let pixels = self.pixels(tile);
        for (i, index) in self.lines(tile).enumerate() {
            let at = At { image: index / self.rows, row: index % self.rows, block };
            fill(at, &mut out[i * self.columns..], pixels, line);
        }
    }

    /// A transformed side `(blocks, kinds, pixels)` of a tile, by all threads. `line` is the working memory of a line.
    pub(super) fn fill(
        &self,
        out: &mut [Lane],
        tile: &Tile,
        kinds: usize,
        line: usize,
        fill: impl Fn(At, &mut [Lane], usize, &mut [Lane]) + Sync,
    ) {
        out.par_chunks_mut(kinds * self.pixels(tile)).enumerate().for_each(|(block, out)| {
            scratch::lanes([line], |[line]| self.fill_block(out, tile, block, line, &fill));
        });
    }
}

/// A convolution by products: `input` makes the kinds of a line of pixels, `output` makes rows of `y` of a line's products.
///
/// `input(at, out, stride, line)` writes `kinds` runs of a line's pixels, `stride` apart, with `line` lanes of working memory.
/// `output(rows, products, stride)` reads such runs.
pub(super) fn forward(
    grid: Grid,
    (kinds, line): (usize, usize),
    weights: &Packed,
    y: &mut Blocks,
    input: impl Fn(At, &mut [Lane], usize, &mut [Lane]) + Sync,
    output: impl Fn(&mut [Lane], &[Lane], usize) + Sync,
) {
    let path = Path::best();
    let tiling = grid.tiling(TOGETHER);
    let outs = weights.outs;
    let row = y.sizes.pixels() / grid.rows; // lanes of y for a line of tiles
    let few = tiling.len() < ENOUGH_PIECES;
    let block =
        if few { outs.div_ceil(ENOUGH_PIECES / tiling.len()).next_multiple_of(2) } else { outs };
    // Where there are few tiles, each is transformed once, by all threads, and the columns are divided among them.
    let all = Tile { images: 0..grid.images, rows: 0..grid.rows };
    let whole = grid.pixels(&all);
    let mut shared = Vec::new();
    if few {
        shared.push(crate::cpu::buffer::Buffer::stale(weights.depth * kinds * whole));
    }
    if let [shared] = &mut shared[..] {
        grid.fill(shared, &all, kinds, line, &input);
    }
    tiling.pieces(&mut y.lanes, outs, block, row).into_par_iter().for_each(
        |piece: Piece<'_, Lane>| {
            let pixels = grid.pixels(&piece.tile);
            let blocks = piece.channels.len();
            let own = if few { 0 } else { weights.depth * kinds * pixels };
            scratch::lanes([own, blocks * kinds * pixels, line], |[own, products, line]| {
                let (side, stride, first) = match &shared[..] {
                    [shared] => (&shared[..], whole, grid.lines(&piece.tile).start * grid.columns),
                    _ => {
                        for (block, out) in own.chunks_exact_mut(kinds * pixels).enumerate() {
                            grid.fill_block(out, &piece.tile, block, line, &input);
                        }
                        (&own[..], pixels, 0)
                    }
                };
                for kind in 0..kinds {
                    let lanes = &side[kind * stride + first..];
                    let left = Side { lanes, stride: kinds * stride, rows: pixels };
                    let out = (&mut products[kind * pixels..], kinds * pixels);
                    multiply(path, out, left, (weights, kind), piece.channels.clone());
                }
                let rows = piece.tile.rows.len();
                for (i, plane) in piece.planes.into_iter().enumerate() {
                    let (image, block) = (i / blocks, i % blocks);
                    for (r, out) in plane.chunks_exact_mut(row).enumerate() {
                        let pixel = (image * rows + r) * grid.columns;
                        output(out, &products[block * kinds * pixels + pixel..], pixels);
                    }
                }
            });
        },
    );
}

/// Products of one kind, as `left · right`, for a scatter on this thread.
pub(super) fn product(
    out: &mut [Lane],
    left: Side<'_>,
    (weights, kind): (&Packed, usize),
    (outs, out_stride): (Range<usize>, usize),
) {
    multiply(Path::best(), (out, out_stride), left, (weights, kind), outs);
}

/// Adds to the sums of a weight's gradient: `left` is the transformed gradient of a tile's outputs, `right` the transformed
/// inputs, which may have one kind for all.
pub(super) fn add_products(sums: &mut Sums, left: &[Lane], right: &[Lane], pixels: usize) {
    let (kinds, outs, inner) = (sums.kinds, sums.out_blocks, sums.inner_blocks);
    let path = Path::best();
    let right_kinds = right.len() / (inner * pixels);
    let group = (outs * kinds / ENOUGH_PIECES / 2).clamp(1, outs);
    let add = !std::mem::take(&mut sums.fresh);
    let mut pieces = Vec::new();
    for (kind, sums) in sums.lanes.chunks_mut(outs * LANES * inner).enumerate() {
        for (i, sums) in sums.chunks_mut(group * LANES * inner).enumerate() {
            pieces.push((kind, i * group, sums));
        }
    }
    pieces.into_par_iter().for_each(|(kind, first, sums)| {
        let lanes = &left[(first * kinds + kind) * pixels..];
        let left = Side { lanes, stride: kinds * pixels, rows: pixels };
        let lanes = &right[if right_kinds == 1 { 0 } else { kind * pixels }..];
        let right = Side { lanes, stride: right_kinds * pixels, rows: pixels };
        let blocks = (sums.len() / (LANES * inner), inner);
        correlate(path, (sums, add), left, right, blocks);
    });
}
