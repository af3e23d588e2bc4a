//! The forward pass: per tile, `weight (Cout, depth) · columns (depth, pixels)`.

use rayon::prelude::*;

use super::columns::Columns;
use crate::gemm::{Into, Matrix, gemm};
use crate::geometry::Conv2dShape;
use crate::scratch;
use crate::tiles::{ENOUGH_PIECES, PlaneLayout, Tiling, channel_block};

/// Pixels per tile for columns of `depth` values: a quarter megabyte of columns, so that they are still in cache when
/// the product reads them, within limits; at least `least`.
pub(super) fn tile_pixels(depth: usize, least: usize) -> usize {
    ((1 << 16) / depth).clamp(least, 1024)
}

/// Pixels of a tile below which packing the weight for it costs too much.
pub(super) const LEAST_PIXELS: usize = 64;

/// The convolution of `x` with `weight`.
pub(super) fn forward(x: &[f32], weight: &[f32], s: &Conv2dShape) -> Vec<f32> {
    let depth = s.depth();
    let tiling = Tiling::new(s.images, s.out_height, s.out_width, tile_pixels(depth, LEAST_PIXELS));
    let block = if tiling.len() >= ENOUGH_PIECES {
        s.out_channels
    } else {
        channel_block(s.out_channels, tiling.len(), 64).min(s.out_channels)
    };
    let input = PlaneLayout { channels: s.in_channels, height: s.height, row: s.width };
    let columns = Columns::new(s);
    let pixels = tiling.max_pixels(s.out_width);
    let mut y = vec![0.; s.images * s.out_channels * s.out_pixels()];
    tiling.pieces(&mut y, s.out_channels, block, s.out_width).into_par_iter().for_each(|piece| {
        let lengths = [depth * pixels, block * pixels, columns.phase_length(&tiling)];
        scratch::with(lengths, |[gathered, out, phases]| {
            let rows = &weight[piece.channels.start * depth..];
            let a = Matrix::dense(rows, piece.channels.len(), depth);
            let b = if s.is_pointwise() {
                input.matrix(x, &piece.tile, 0..s.in_channels, gathered)
            } else {
                columns.gather(gathered, x, &piece.tile, 0..s.in_channels, phases)
            };
            gemm(out, Into::Overwrite, a, b);
            piece.store(out);
        });
    });
    y
}
