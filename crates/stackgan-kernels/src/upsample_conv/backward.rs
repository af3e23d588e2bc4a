//! Both gradients from one transform of `dy`.

use std::ops::Range;

use rayon::prelude::*;

use super::transform::gradient_kinds;
use super::{KINDS, UpShape, weights};
use crate::gemm::{Into, Matrix, gemm};
use crate::scratch;
use crate::tiles::{ENOUGH_PIECES, Piece, Tile, Tiling, channel_block, runs, total};

/// The tensors of a backward pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arguments<'a> {
    pub(super) x: &'a [f32],
    pub(super) weight: &'a [f32],
    pub(super) dy: &'a [f32],
}

/// Which gradients are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) input: bool,
    pub(super) weight: bool,
}

/// Values of the nine kinds of weight gradient up to which both gradients are made in one go, with one sum per run
/// of tiles.
const SMALL_WEIGHT: usize = 1 << 17;

/// Output channels per piece of a large weight gradient.
const CHANNEL_BLOCK: usize = 16;

/// Gradients of the input and of the weight.
pub(super) fn backward(
    arguments: Arguments<'_>,
    s: &UpShape,
    wanted: Wanted,
) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
    let small = KINDS * s.out_channels * s.in_channels <= SMALL_WEIGHT;
    if small && wanted.weight {
        let (dx, dw) = together(arguments, s, wanted);
        return (dx, Some(dw));
    }
    let dx = wanted.input.then(|| input_gradient(arguments, s));
    let dw = wanted.weight.then(|| large_weight_gradient(arguments, s));
    (dx, dw)
}

/// The weight's gradient, summed per run of tiles, and the input's if asked for, tile by tile.
fn together(arguments: Arguments<'_>, s: &UpShape, wanted: Wanted) -> (Option<Vec<f32>>, Vec<f32>) {
    let tiling = s.tiling(s.out_channels);
    let weight =
        if wanted.input { weights::by_input(arguments.weight, s.in_channels) } else { vec![] };
    let mut dx = vec![0.; if wanted.input { arguments.x.len() } else { 0 }];
    let mut pieces = tiling.pieces(&mut dx, s.in_channels, s.in_channels, s.width).into_iter();
    let pieces: Vec<Vec<Piece<'_, f32>>> = runs(tiling.len(), ENOUGH_PIECES)
        .into_iter()
        .map(|run| pieces.by_ref().take(run.len()).collect())
        .collect();
    let sums = pieces
        .into_par_iter()
        .map(|run| {
            let mut sum = vec![0.; s.out_channels * KINDS * s.in_channels];
            scratch::with(lengths(s, &tiling, s.out_channels), |[kinds, other, lines]| {
                for piece in run {
                    transform(kinds, arguments.dy, s, &piece.tile, 0..s.out_channels, lines);
                    add_weight(&mut sum, kinds, arguments.x, s, &piece.tile, other);
                    if wanted.input {
                        store_input(piece, kinds, &weight, s, other);
                    }
                }
            });
            sum
        })
        .collect();
    let mut dw = vec![0.; arguments.weight.len()];
    weights::fold(&mut dw, &total(sums), s.in_channels);
    (wanted.input.then_some(dx), dw)
}

/// The input's gradient alone.
fn input_gradient(arguments: Arguments<'_>, s: &UpShape) -> Vec<f32> {
    let tiling = s.tiling(s.out_channels);
    let weight = weights::by_input(arguments.weight, s.in_channels);
    let block = if tiling.len() >= ENOUGH_PIECES {
        s.in_channels
    } else {
        channel_block(s.in_channels, tiling.len(), 128).min(s.in_channels)
    };
    let mut dx = vec![0.; arguments.x.len()];
    tiling.pieces(&mut dx, s.in_channels, block, s.width).into_par_iter().for_each(|piece| {
        scratch::with(lengths(s, &tiling, s.out_channels), |[kinds, out, lines]| {
            transform(kinds, arguments.dy, s, &piece.tile, 0..s.out_channels, lines);
            store_input(piece, kinds, &weight, s, out);
        });
    });
    dx
}

/// The weight's gradient alone, by blocks of output channels, each of which goes through all tiles.
fn large_weight_gradient(arguments: Arguments<'_>, s: &UpShape) -> Vec<f32> {
    let tiling = s.tiling(CHANNEL_BLOCK);
    let mut dw = vec![0.; arguments.weight.len()];
    let block = 9 * s.in_channels * CHANNEL_BLOCK;
    dw.par_chunks_mut(block).enumerate().for_each(|(i, dw)| {
        let first = i * CHANNEL_BLOCK;
        let channels = first..s.out_channels.min(first + CHANNEL_BLOCK);
        let mut sum = vec![0.; channels.len() * KINDS * s.in_channels];
        scratch::with(lengths(s, &tiling, channels.len()), |[kinds, copied, lines]| {
            for tile in (0..tiling.len()).map(|i| tiling.tile(i)) {
                transform(kinds, arguments.dy, s, &tile, channels.clone(), lines);
                add_weight(&mut sum, kinds, arguments.x, s, &tile, copied);
            }
        });
        weights::fold(dw, &sum, s.in_channels);
    });
    dw
}

/// Scratch: the kinds of `channels` output channels, something as large as the input, lines.
fn lengths(s: &UpShape, tiling: &Tiling, channels: usize) -> [usize; 3] {
    let pixels = tiling.max_pixels(s.width);
    [channels * KINDS * pixels, s.in_channels * pixels, 2 * s.width + 2]
}

/// The kinds `(channel, kind, pixels)` of some channels of `dy`.
fn transform(
    kinds: &mut [f32],
    dy: &[f32],
    s: &UpShape,
    tile: &Tile,
    channels: Range<usize>,
    lines: &mut [f32],
) {
    let plane_pixels = tile.rows.len() * s.width;
    let pixels = tile.images.len() * plane_pixels;
    let large = 4 * s.height * s.width;
    for (kinds, channel) in kinds.chunks_exact_mut(KINDS * pixels).zip(channels) {
        for (i, image) in tile.images.clone().enumerate() {
            let plane = &dy[(image * s.out_channels + channel) * large..][..large];
            let out = &mut kinds[i * plane_pixels..];
            gradient_kinds(out, pixels, plane, tile.rows.clone(), lines, s.width);
        }
    }
}

/// `sum (channel, kind, Cin) += kinds · xᵀ`.
fn add_weight(
    sum: &mut [f32],
    kinds: &[f32],
    x: &[f32],
    s: &UpShape,
    tile: &Tile,
    copied: &mut [f32],
) {
    let pixels = tile.images.len() * tile.rows.len() * s.width;
    let a = Matrix::dense(kinds, sum.len() / s.in_channels, pixels);
    let b = s.input().matrix(x, tile, 0..s.in_channels, copied);
    gemm(sum, Into::Add, a, b.transposed());
}

/// `dx = weightᵀ · kinds` for the piece's channels.
fn store_input(piece: Piece<'_, f32>, kinds: &[f32], weight: &[f32], s: &UpShape, out: &mut [f32]) {
    let pixels = piece.tile.images.len() * piece.tile.rows.len() * s.width;
    let depth = s.out_channels * KINDS;
    let a = Matrix::dense(&weight[piece.channels.start * depth..], piece.channels.len(), depth);
    gemm(out, Into::Overwrite, a, Matrix::dense(kinds, depth, pixels));
    piece.store(out);
}
