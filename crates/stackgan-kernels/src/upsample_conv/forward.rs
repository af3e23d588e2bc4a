//! The forward pass: nine products per tile of small pixels, and the sums that make four large ones of each.

use rayon::prelude::*;

use super::transform::{input_kinds, output_rows};
use super::{KINDS, UpShape, weights};
use crate::gemm::{Into, Matrix, gemm};
use crate::scratch;
use crate::tiles::{ENOUGH_PIECES, Piece, channel_block};

/// The up-sampled convolution of `x` with `weight`.
pub(super) fn forward(x: &[f32], weight: &[f32], s: &UpShape) -> Vec<f32> {
    let weight = weights::by_output(weight, s.in_channels);
    let tiling = s.tiling(s.out_channels + s.in_channels / 3);
    let block = if tiling.len() >= ENOUGH_PIECES {
        s.out_channels
    } else {
        channel_block(s.out_channels, tiling.len(), 64).min(s.out_channels)
    };
    let pixels = tiling.max_pixels(s.width);
    let mut y = vec![0.; s.images * s.out_channels * 4 * s.height * s.width];
    tiling.pieces(&mut y, s.out_channels, block, 4 * s.width).into_par_iter().for_each(|piece| {
        let input = s.in_channels * pixels;
        let lengths = [input, input, input, KINDS * block * pixels, s.width + 2];
        scratch::with(lengths, |[in_s, in_a, in_c, products, line]| {
            tile(piece, x, &weight, s, [in_s, in_a, in_c], products, line);
        });
    });
    y
}

fn tile(
    piece: Piece<'_, f32>,
    x: &[f32],
    weight: &[f32],
    s: &UpShape,
    mut inputs: [&mut [f32]; 3],
    products: &mut [f32],
    line: &mut [f32],
) {
    let images = piece.tile.images.clone();
    let rows = piece.tile.rows.clone();
    let plane_pixels = rows.len() * s.width;
    let pixels = images.len() * plane_pixels;
    let channels = piece.channels.len();
    let row = KINDS * s.in_channels;
    let weight = &weight[piece.channels.start * row..];
    for vertical in 0..3 {
        for channel in 0..s.in_channels {
            for (i, image) in images.clone().enumerate() {
                let start = s.input().start(image, channel, 0);
                let at = channel * pixels + i * plane_pixels;
                let out = inputs.each_mut().map(|input| &mut input[at..at + plane_pixels]);
                let plane = &x[start..start + s.input().plane()];
                input_kinds(out, plane, rows.clone(), vertical, line, s.width);
            }
        }
        for (horizontal, input) in inputs.iter().enumerate() {
            let kind = 3 * vertical + horizontal;
            let a = Matrix::new(&weight[kind * s.in_channels..], channels, s.in_channels, row);
            let b = Matrix::dense(input, s.in_channels, pixels);
            gemm(&mut products[kind * channels * pixels..], Into::Overwrite, a, b);
        }
    }
    for (i, plane) in piece.planes.into_iter().enumerate() {
        let at = i % channels * pixels + i / channels * plane_pixels;
        let of_kind = |kind| &products[kind * channels * pixels + at..][..plane_pixels];
        output_rows(plane, std::array::from_fn(of_kind), s.width);
    }
}
