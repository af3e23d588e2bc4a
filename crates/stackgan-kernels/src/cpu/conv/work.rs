//! How the work of a convolution is divided: into lines of tiles that are transformed, multiplied
//! and transformed back.
//!
//! A transformed side is `(blocks, kinds, pixels)` lanes, where a "pixel" is the position of a
//! tile. The division depends on the shape alone.

use std::ops::Range;

use rayon::prelude::*;

use super::factors::Kinds;
use super::finish::Finish;
use super::products::{Out, Side, correlate, multiply};
use super::sums::Sums;
use super::weights::{Portion, Weight};
use crate::cpu::blocks::Blocks;
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, Lane, floats_mut};
use crate::cpu::path::Path;
use crate::cpu::scratch;
use crate::cpu::tiles::{ENOUGH_PIECES, Piece, Tile, Tiling, runs};

/// The tiles of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) images: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// A line of tiles of one block of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) block: usize,
}

/// Returns the approximate number of pixels that are transformed and multiplied together.
///
/// It is smaller for more than nine kinds, so that their sums and products keep the same size.
fn together(kinds: usize) -> usize {
    192 * 9 / kinds.max(9)
}

/// Approximate number of pixels whose products are added to a weight's gradient together.
const SUMMED: usize = 512;

impl Grid {
    /// Divides the grid into tiles of about `target` pixels.
    pub(super) fn tiling(&self, target: usize) -> Tiling {
        Tiling::new(self.images, self.rows, self.columns, target)
    }

    /// Returns the lines of a tile, counted through all images.
    fn lines(&self, tile: &Tile) -> Range<usize> {
        let first = tile.images.start * self.rows + tile.rows.start;
        first..first + tile.images.len() * tile.rows.len()
    }

    /// Returns the number of pixels of a tile.
    pub(super) fn pixels(&self, tile: &Tile) -> usize {
        self.lines(tile).len() * self.columns
    }

    /// Writes the kinds of one block for the lines of a tile, by `fill(at, out, pixels, line)` for
    /// each line.
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

    /// Writes the transformed side `(blocks, kinds, pixels)` of a tile, with all threads.
    ///
    /// `line` is the number of lanes of working memory for a line.
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

/// The parts of a convolution by products.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) grid: Grid,
    /// Lanes of working memory for a line of inputs.
    pub(super) line: usize,
    /// Rows of the result computed per line; the last line may have fewer.
    pub(super) height: usize,
    pub(super) weight: Weight<'a>,
}

/// Computes a convolution by products.
///
/// `input(at, out, stride, line)` writes the sums of a line of pixels, `stride` apart, using the
/// plan's working memory. `output(rows, products, stride)` computes rows of `y` from a line's
/// products, which are stored in the same way.
pub(super) fn forward(
    plan: &Plan<'_>,
    y: &mut Blocks,
    input: impl Fn(At, &mut [Lane], usize, &mut [Lane]) + Sync,
    output: impl Fn(&mut [Lane], &[Lane], usize) + Sync,
    finish: Finish<'_>,
) {
    let Plan { grid, line, height, weight } = *plan;
    let Kinds { products: kinds, sums, sum_of } = weight.kinds();
    let tiling = grid.tiling(together(kinds));
    let (outs, depth) = (weight.outs(), weight.depth());
    let plane = y.sizes.pixels();
    let row = height * y.sizes.width;
    let rows_of = |piece: Piece<'_, Lane>, products: &[Lane], pixels: usize| {
        let (rows, blocks) = (piece.tile.rows.len(), piece.channels.len());
        for (i, plane) in piece.planes.into_iter().enumerate() {
            let (image, block) = (i / blocks, i % blocks);
            for (r, out) in plane.chunks_mut(row).enumerate() {
                let pixel = (image * rows + r) * grid.columns;
                output(out, &products[block * kinds * pixels + pixel..], pixels);
            }
            finish(piece.channels.start + block, plane);
        }
    };
    if tiling.len() >= ENOUGH_PIECES {
        let mut memory = Buffer::stale(weight.lanes(outs));
        let weights = weight.packed(&mut memory);
        tiling.pieces(&mut y.lanes, (outs, outs), (plane, row)).into_par_iter().for_each(|piece| {
            let pixels = grid.pixels(&piece.tile);
            let lengths = [depth * sums * pixels, outs * kinds * pixels, line];
            scratch::lanes(lengths, |[side, products, line]| {
                for (block, out) in side.chunks_exact_mut(sums * pixels).enumerate() {
                    grid.fill_block(out, &piece.tile, block, line, &input);
                }
                for kind in 0..kinds {
                    let lanes = &side[sum_of(kind) * pixels..];
                    let left = Side { lanes, stride: sums * pixels, rows: pixels };
                    let lanes = &mut products[kind * pixels..];
                    let out = Out { lanes, stride: kinds * pixels, add: false };
                    multiply(Path::best(), out, left, (weights, kind), 0..outs);
                }
                rows_of(piece, products, pixels);
            });
        });
        return;
    }
    // There are few tiles, so the weights are what is large. Pixels are transformed once, by all
    // threads. Then every task packs some columns and multiplies all pixels by them while they are
    // in its cache.
    let all = Tile { images: 0..grid.images, rows: 0..grid.rows };
    let pixels = grid.pixels(&all);
    let mut side = Buffer::stale(depth * sums * pixels);
    grid.fill(&mut side, &all, sums, line, &input);
    let portion = weight.portion(pixels);
    let whole = Tiling::whole_images(grid.images, grid.rows, grid.images);
    let pieces = whole.pieces(&mut y.lanes, (outs, portion.outs), (plane, row));
    pieces.into_par_iter().for_each(|piece| {
        in_parts(&weight, (&side, pixels), piece.channels.clone(), portion, |products| {
            rows_of(piece, products, pixels);
        });
    });
}

/// Computes products `(outs, kinds, pixels)` of a transformed side and some columns of a weight,
/// and passes them to `done`.
///
/// The columns are packed one part of the inner index after the other.
pub(super) fn in_parts(
    weight: &Weight<'_>,
    (side, pixels): (&[Lane], usize),
    outs: Range<usize>,
    portion: Portion,
    done: impl FnOnce(&[Lane]),
) {
    let Kinds { products: kinds, sums, sum_of } = weight.kinds();
    let (depth, blocks) = (weight.depth(), outs.len());
    let lengths = [weight.lanes_of(blocks, portion.inner), blocks * kinds * pixels];
    scratch::lanes(lengths, |[memory, products]| {
        for first in (0..depth).step_by(portion.inner) {
            let inner = first..depth.min(first + portion.inner);
            let weights = weight.part(memory, outs.clone(), inner);
            for kind in 0..kinds {
                let lanes = &side[(first * sums + sum_of(kind)) * pixels..];
                let left = Side { lanes, stride: sums * pixels, rows: pixels };
                let lanes = &mut products[kind * pixels..];
                let out = Out { lanes, stride: kinds * pixels, add: first > 0 };
                multiply(Path::best(), out, left, (weights, kind), 0..blocks);
            }
        }
        done(products);
    });
}

/// Copies the products of a line to its results.
pub(super) fn as_they_are(rows: &mut [Lane], products: &[Lane], _: usize) {
    rows.copy_from_slice(&products[..rows.len()]);
}

/// The tiles from which gradients are computed, in runs of whole images.
///
/// Threads share the blocks of channels of a tile. If there are few blocks, the threads process
/// runs in parallel instead, each with separate sums.
pub(super) struct Runs {
    tiling: Tiling,
    /// Each run is a range of groups of images.
    runs: Vec<Range<usize>>,
    images: usize,
}

impl Runs {
    /// Divides a grid for maps of `blocks` blocks of channels.
    pub(super) fn new(grid: Grid, blocks: usize) -> Self {
        let parts = if blocks < ENOUGH_PIECES { ENOUGH_PIECES.min(grid.images) } else { 1 };
        let most = grid.images.div_ceil(parts) * grid.rows * grid.columns;
        let tiling = grid.tiling(SUMMED.min(most));
        let runs = runs(grid.images.div_ceil(tiling.group()), parts);
        Self { tiling, runs, images: grid.images }
    }

    pub(super) const fn tiling(&self) -> &Tiling {
        &self.tiling
    }

    /// Returns the images of each run.
    pub(super) fn images(&self) -> impl Iterator<Item = Range<usize>> {
        let group = self.tiling.group();
        self.runs.iter().map(move |run| run.start * group..self.images.min(run.end * group))
    }

    /// Calls `each` for all tiles of all runs, with the part and the sums of the run. Returns the
    /// sums of all runs, added in their order.
    ///
    /// The tiles of a run are processed one after the other.
    pub(super) fn sum<P: Send>(
        &self,
        parts: Vec<P>,
        sums: Option<impl Fn() -> Sums + Sync>,
        each: impl Fn(&mut P, &Tile, Option<&mut Sums>) + Sync,
    ) -> Option<Sums> {
        let of_run = |(run, mut part): (&Range<usize>, P)| {
            let mut sums = sums.as_ref().map(|new| new());
            let rows = self.tiling.row_parts();
            for tile in run.start * rows..run.end * rows {
                each(&mut part, &self.tiling.tile(tile), sums.as_mut());
            }
            sums
        };
        let of_runs: Vec<Option<Sums>> = self.runs.par_iter().zip(parts).map(of_run).collect();
        let mut of_runs = of_runs.into_iter().flatten();
        let first = of_runs.next()?;
        Some(of_runs.fold(first, Sums::and))
    }
}

/// Adds the products of a tile to the sums of a weight's gradient.
///
/// `left` is the transformed gradient of the outputs, by kinds. `right` contains the sums of the
/// inputs.
pub(super) fn add_products(sums: &mut Sums, left: &[Lane], right: &[Lane], pixels: usize) {
    let (outs, inner) = (sums.out_blocks, sums.inner_blocks);
    let Kinds { products: kinds, sums: right_kinds, sum_of } = sums.kinds;
    let path = Path::best();
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
        let lanes = &right[sum_of(kind) * pixels..];
        let right = Side { lanes, stride: right_kinds * pixels, rows: pixels };
        let blocks = (sums.len() / (LANES * inner), inner);
        correlate(path, (floats_mut(sums), add), left, right, blocks);
    });
}
