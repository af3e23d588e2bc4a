//! The gradients of the input and of the weight.

use rayon::prelude::*;

use super::columns::Columns;
use super::forward::{LEAST_PIXELS, tile_pixels};
use crate::gemm::{Into, Matrix, gemm};
use crate::geometry::Conv2dShape;
use crate::scratch;
use crate::tiles::{ENOUGH_PIECES, PlaneLayout, Tile, Tiling, channel_block, runs, total};

/// Gradient of the input.
///
/// Per tile, the columns' gradient `weightᵀ · dy`, added to where the columns came from; an image's tiles one after the
/// other, since they overlap.
pub(super) fn input_gradient(dy: &[f32], weight: &[f32], s: &Conv2dShape) -> Vec<f32> {
    let taps = s.taps();
    let tiling =
        Tiling::new(s.images, s.out_height, s.out_width, tile_pixels(s.depth(), LEAST_PIXELS));
    let whole = Tiling::whole_images(s.images, s.height, tiling.group());
    let block = if whole.len() >= ENOUGH_PIECES {
        s.in_channels
    } else {
        channel_block(s.in_channels, whole.len(), 16).min(s.in_channels)
    };
    let output = PlaneLayout { channels: s.out_channels, height: s.out_height, row: s.out_width };
    let columns = Columns::new(s);
    let pixels = tiling.max_pixels(s.out_width);
    let weight = transposed(weight, s.out_channels, s.depth());
    let mut dx = vec![0.; s.images * s.in_channels * s.in_pixels()];
    whole.pieces(&mut dx, s.in_channels, block, s.width).into_par_iter().for_each(|mut piece| {
        let lengths =
            [block * taps * pixels, s.out_channels * pixels, columns.phase_length(&tiling)];
        scratch::with(lengths, |[gathered, copied, phases]| {
            for rows in tiling.row_runs() {
                let tile = Tile { images: piece.tile.images.clone(), rows };
                let first = piece.channels.start * taps * s.out_channels;
                let a =
                    Matrix::dense(&weight[first..], piece.channels.len() * taps, s.out_channels);
                let b = output.matrix(dy, &tile, 0..s.out_channels, copied);
                gemm(gathered, Into::Overwrite, a, b);
                columns.scatter(&mut piece.planes, gathered, &tile, piece.channels.len(), phases);
            }
        });
    });
    dx
}

/// Values of a weight gradient up to which it is summed in one copy per run of tiles.
const SMALL_WEIGHT: usize = 1 << 17;

/// Pixels of a tile, there the length of the dot products, below which reading and writing the sums costs too much.
const LEAST_INNER: usize = 128;

/// Rows of columns per piece of a large weight gradient, about.
const DEPTH_BLOCK: usize = 256;

/// Gradient of the weight: the transpose of the sum over tiles of `columns (depth, pixels) · dyᵀ (pixels, Cout)`.
/// (This way round it is the smaller operand that the product must transpose.)
///
/// A small one is summed over fixed runs of tiles, and the runs' sums are added in order. A large one is cut into
/// blocks of input channels, each of which goes through all tiles.
pub(super) fn weight_gradient(x: &[f32], dy: &[f32], s: &Conv2dShape) -> Vec<f32> {
    let depth = s.depth();
    let tiling = Tiling::new(s.images, s.out_height, s.out_width, tile_pixels(depth, LEAST_INNER));
    if s.out_channels * depth <= SMALL_WEIGHT {
        let sums: Vec<Vec<f32>> = runs(tiling.len(), ENOUGH_PIECES)
            .into_par_iter()
            .map(|run| {
                let mut sum = vec![0.; s.out_channels * depth];
                let tiles = run.map(|i| tiling.tile(i));
                add_products(&mut sum, (x, dy), s, &tiling, tiles, 0..s.in_channels);
                sum
            })
            .collect();
        return transposed(&total(sums), depth, s.out_channels);
    }
    let block = (DEPTH_BLOCK / s.taps()).clamp(1, s.in_channels);
    let mut dw = vec![0.; s.out_channels * depth];
    let mut pieces: Vec<Vec<&mut [f32]>> =
        (0..s.in_channels.div_ceil(block)).map(|_| Vec::new()).collect();
    for row in dw.chunks_mut(depth) {
        for (piece, part) in pieces.iter_mut().zip(row.chunks_mut(block * s.taps())) {
            piece.push(part);
        }
    }
    pieces.into_par_iter().enumerate().for_each(|(i, rows)| {
        let channels = i * block..s.in_channels.min((i + 1) * block);
        let width = channels.len() * s.taps();
        let mut sum = vec![0.; s.out_channels * width];
        let tiles = (0..tiling.len()).map(|i| tiling.tile(i));
        add_products(&mut sum, (x, dy), s, &tiling, tiles, channels);
        for (channel, row) in rows.into_iter().enumerate() {
            let column = sum[channel..].iter().step_by(s.out_channels);
            row.iter_mut().zip(column).for_each(|(out, v)| *out = *v);
        }
    });
    dw
}

/// Adds the products of `tiles`, for some input channels, to `sum (channels * taps, Cout)`.
fn add_products(
    sum: &mut [f32],
    (x, dy): (&[f32], &[f32]),
    s: &Conv2dShape,
    tiling: &Tiling,
    tiles: impl Iterator<Item = Tile>,
    channels: std::ops::Range<usize>,
) {
    let input = PlaneLayout { channels: s.in_channels, height: s.height, row: s.width };
    let output = PlaneLayout { channels: s.out_channels, height: s.out_height, row: s.out_width };
    let columns = Columns::new(s);
    let pixels = tiling.max_pixels(s.out_width);
    let lengths =
        [channels.len() * s.taps() * pixels, s.out_channels * pixels, columns.phase_length(tiling)];
    scratch::with(lengths, |[gathered, copied, phases]| {
        for tile in tiles {
            let a = if s.is_pointwise() {
                input.matrix(x, &tile, channels.clone(), gathered)
            } else {
                columns.gather(gathered, x, &tile, channels.clone(), phases)
            };
            let b = output.matrix(dy, &tile, 0..s.out_channels, copied);
            gemm(sum, Into::Add, a, b.transposed());
        }
    });
}

/// `(rows, columns)` as `(columns, rows)`.
fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 16;
    let mut out = vec![0.; matrix.len()];
    out.par_chunks_mut(BLOCK * rows).enumerate().for_each(|(block, out)| {
        let first = block * BLOCK;
        for (r, row) in matrix.chunks_exact(columns).enumerate() {
            let values = &row[first..columns.min(first + BLOCK)];
            for (c, value) in values.iter().enumerate() {
                out[c * rows + r] = *value;
            }
        }
    });
    out
}

/// The weight `(Cout, Cin, kh, kw)` as `(Cin, Cout, kh, kw)` with its taps reversed.
pub(super) fn flipped(weight: &[f32], s: &Conv2dShape) -> Vec<f32> {
    let (taps, depth) = (s.taps(), s.depth());
    let mut out = vec![0.; weight.len()];
    out.par_chunks_mut(s.out_channels * taps).enumerate().for_each(|(channel, out)| {
        for (out, row) in out.chunks_exact_mut(taps).zip(weight.chunks_exact(depth)) {
            let kernel = &row[channel * taps..(channel + 1) * taps];
            out.iter_mut().zip(kernel.iter().rev()).for_each(|(out, v)| *out = *v);
        }
    });
    out
}
