//! A convolution whose one window is the whole image: matrix products of `x (N, depth)` and `weight (Cout, depth)`.

use rayon::prelude::*;

use crate::gemm::{Into, Matrix, gemm};
use crate::geometry::Conv2dShape;
use crate::scratch;

/// Rows of a result per piece of work.
const ROWS: usize = 16;

/// `x weightᵀ`, by rows of its transpose.
pub(super) fn forward(x: &[f32], weight: &[f32], s: &Conv2dShape) -> Vec<f32> {
    let x = Matrix::dense(x, s.images, s.depth()).transposed();
    let mut y_t = vec![0.; s.images * s.out_channels];
    let pieces = y_t.par_chunks_mut(ROWS * s.images).zip(weight.par_chunks(ROWS * s.depth()));
    pieces.for_each(|(y_t, weight)| {
        let weight = Matrix::dense(weight, y_t.len() / s.images, s.depth());
        gemm(y_t, Into::Overwrite, weight, x);
    });
    transposed(&y_t, s.images)
}

/// `dy weight`, by blocks of rows.
pub(super) fn input_gradient(dy: &[f32], weight: &[f32], s: &Conv2dShape) -> Vec<f32> {
    let weight = Matrix::dense(weight, s.out_channels, s.depth());
    let mut dx = vec![0.; s.images * s.depth()];
    dx.par_chunks_mut(ROWS * s.depth()).zip(dy.par_chunks(ROWS * s.out_channels)).for_each(
        |(dx, dy)| {
            let dy = Matrix::dense(dy, dx.len() / s.depth(), s.out_channels);
            gemm(dx, Into::Overwrite, dy, weight);
        },
    );
    dx
}

/// `dyᵀ x`, by blocks of rows.
pub(super) fn weight_gradient(x: &[f32], dy: &[f32], s: &Conv2dShape) -> Vec<f32> {
    let x = Matrix::dense(x, s.images, s.depth());
    let mut dw = vec![0.; s.out_channels * s.depth()];
    dw.par_chunks_mut(ROWS * s.depth()).enumerate().for_each(|(block, dw)| {
        let rows = dw.len() / s.depth();
        scratch::with([rows * s.images], |[dy_t]| {
            for (r, dy_t) in dy_t.chunks_exact_mut(s.images).enumerate() {
                let column = dy[block * ROWS + r..].iter().step_by(s.out_channels);
                dy_t.iter_mut().zip(column).for_each(|(out, v)| *out = *v);
            }
            gemm(dw, Into::Overwrite, Matrix::dense(dy_t, rows, s.images), x);
        });
    });
    dw
}

/// `(rows, columns)` as `(columns, rows)`, for small matrices.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| matrix[c..].iter().step_by(columns).copied()).collect()
}
