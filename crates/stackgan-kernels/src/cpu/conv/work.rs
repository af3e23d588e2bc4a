//! How the work of a convolution is cut: lines of tiles, transformed, multiplied, transformed back.
//!
//! A transformed side is `(blocks, kinds, pixels)` lanes; a "pixel" here is a tile's place. Work is cut by shape alone.

use std::ops::Range;

use rayon::prelude::*;

use super::Finish;
use super::products::{Out, Side, correlate, multiply};
use super::sums::Sums;
use super::weights::{Kinds, Portion, Weight};
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

/// A line of tiles of a block of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) block: usize,
}

/// Pixels that are transformed and multiplied together, about: fewer of more than nine kinds, so that their sums and products stay as
/// large.
fn together(kinds: usize) -> usize {
    192 * 9 / kinds.max(9)
}

/// Pixels whose products are added to the gradient of a weight together, about.
const SUMMED: usize = 512;

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

/// What a convolution by products is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) grid: Grid,
    /// Lanes of working memory of a line of inputs.
    pub(super) line: usize,
    /// Rows of the result that a line makes; the last one may make fewer.
    pub(super) height: usize,
    pub(super) weight: Weight<'a>,
}

/// A convolution by products: `input` makes the sums of a line of pixels, `output` makes rows of `y` of a line's products.
///
/// `input(at, out, stride, line)` writes the sums of a line's pixels, `stride` apart, with the plan's working memory.
/// `output(rows, products, stride)` reads such runs.
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
    // Few tiles, so the weights are what is large: pixels are transformed once, by all threads, then every piece of work packs
    // some columns and multiplies all pixels by them while they are in its cache.
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

/// Products `(outs, kinds, pixels)` of a transformed side and some columns of a weight, which are packed part by part of the inner
/// index.
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

/// The products of a line are its results.
pub(super) fn as_they_are(rows: &mut [Lane], products: &[Lane], _: usize) {
    rows.copy_from_slice(&products[..rows.len()]);
}

/// The tiles that gradients are made of, in runs of whole images. Threads share the blocks of channels of a tile; where
/// these are few, they take runs side by side instead, each with sums of its own.
pub(super) struct Runs {
    tiling: Tiling,
    /// Of groups of images.
    runs: Vec<Range<usize>>,
    images: usize,
}

impl Runs {
    /// For maps of so many blocks of channels.
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

    /// The images of each run.
    pub(super) fn images(&self) -> impl Iterator<Item = Range<usize>> {
        let group = self.tiling.group();
        self.runs.iter().map(move |run| run.start * group..self.images.min(run.end * group))
    }

    /// Calls `each` for all tiles of all runs, of each run one after the other, with what belongs to it and its sums. The sums of
    /// all runs, in their order.
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

/// Adds to the sums of a weight's gradient: `left` is the transformed gradient of a tile's outputs, by kinds, `right` the sums of its
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
