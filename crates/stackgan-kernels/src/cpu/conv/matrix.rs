//! Products of matrices: the multiplications of a convolution of one tap, whose pixels are rows.

use rayon::prelude::*;

use super::weights::{Order, Pack, Weight};
use super::{factors::Transform, work};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, Lane};
use crate::cpu::scratch;
use crate::cpu::transpose::across;
use crate::written::written;

/// Number of rows of the result that a task computes. Packing the right operand costs each task as
/// much as a few rows.
const ROWS: usize = 384;

/// In which direction the values of a matrix are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// One row after the other.
    ByRows,
    /// One column after the other.
    ByColumns,
}

/// A matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stored: Stored,
}

/// The sizes of a product: `(rows, inner)` times `(inner, columns)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) columns: usize,
}

/// Returns `left · right`, `(rows, columns)`, one row after the other.
///
/// Each sum has an order that depends on its length alone: a row does not depend on the others.
///
/// # Panics
/// If an operand has fewer values than the sizes say.
pub(crate) fn multiply(left: Matrix<'_>, right: Matrix<'_>, sizes: Sizes) -> Vec<f32> {
    let Sizes { rows, inner, columns } = sizes;
    if rows == 0 || inner == 0 || columns == 0 {
        return vec![0.; rows * columns];
    }
    let order = match right.stored {
        Stored::ByRows => Order::InnerOut,
        Stored::ByColumns => Order::OutInner,
    };
    let pack = Pack { inner_channels: inner, out_channels: columns, ..Pack::ONE };
    let weight = Weight { values: right.values, pack, order, transform: Transform::Each };
    let (depth, outs) = (weight.depth(), weight.outs());
    written(rows * columns, ROWS * columns, |task, out| {
        let first = task * ROWS;
        let rows = out.len() / columns;
        let mut products = Buffer::stale(outs * rows);
        scratch::lanes([depth * rows], |[side]| {
            for (block, side) in side.chunks_exact_mut(rows).enumerate() {
                gather(left, (first, block), sizes, side);
            }
            let (side, portion) = (&*side, weight.portion(rows));
            let parts = products.par_chunks_mut(portion.outs * rows).enumerate();
            parts.for_each(|(part, products)| {
                let start = part * portion.outs;
                let blocks = start..start + products.len() / rows;
                work::in_parts(&weight, (side, rows), blocks, portion, |lanes| {
                    products.copy_from_slice(lanes);
                });
            });
        });
        for (row, out) in out.chunks_exact_mut(columns).enumerate() {
            for (out, lanes) in out.chunks_mut(LANES).zip(products.chunks_exact(rows)) {
                out.copy_from_slice(&lanes[row].0[..out.len()]);
            }
        }
    })
}

/// Writes sixteen values of the inner index, those of `block`, for the rows from `first` on.
fn gather(left: Matrix<'_>, (first, block): (usize, usize), sizes: Sizes, out: &mut [Lane]) {
    let inner = block * LANES;
    let length = LANES.min(sizes.inner - inner);
    match left.stored {
        Stored::ByRows => {
            for (row, out) in out.iter_mut().enumerate() {
                let values = &left.values[(first + row) * sizes.inner + inner..][..length];
                let mut lane = [0.; LANES];
                lane[..length].copy_from_slice(values);
                *out = Lane(lane);
            }
        }
        Stored::ByColumns => {
            for (i, out) in out.chunks_mut(LANES).enumerate() {
                let from = &left.values[inner * sizes.rows + first + i * LANES..];
                across(out, from, sizes.rows, (length, out.len()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, ROWS, Sizes, Stored, multiply};

    fn value(i: usize, j: usize) -> f32 {
        ((i * 31 + j * 17) % 23) as f32 / 16. - 0.7
    }

    fn values(stored: Stored, (rows, columns): (usize, usize)) -> Vec<f32> {
        (0..rows * columns)
            .map(|at| match stored {
                Stored::ByRows => value(at / columns, at % columns),
                Stored::ByColumns => value(at % rows, at / rows),
            })
            .collect()
    }

    /// Odd sizes, one of each, more rows than a task takes, and sums of several parts.
    #[test]
    fn products_are_those_of_plain_loops_however_the_operands_are_stored() {
        let sizes = [(1, 1, 1), (5, 37, 19), (ROWS + 3, 20, 33), (2, 400, 70), (16, 16, 16)];
        for (rows, inner, columns) in sizes {
            let sizes = Sizes { rows, inner, columns };
            let mut first: Option<Vec<f32>> = None;
            for left in [Stored::ByRows, Stored::ByColumns] {
                for right in [Stored::ByRows, Stored::ByColumns] {
                    let (a, b) = (values(left, (rows, inner)), values(right, (inner, columns)));
                    let y = multiply(
                        Matrix { values: &a, stored: left },
                        Matrix { values: &b, stored: right },
                        sizes,
                    );
                    assert_eq!(y, *first.get_or_insert(y.clone()), "{sizes:?} {left:?} {right:?}");
                }
            }
            for (at, y) in first.unwrap().into_iter().enumerate() {
                let (i, j) = (at / columns, at % columns);
                let exact: f64 =
                    (0..inner).map(|k| f64::from(value(i, k)) * f64::from(value(k, j))).sum();
                assert!((f64::from(y) - exact).abs() < 1e-4, "{sizes:?}: {i} {j} {y} {exact}");
            }
        }
    }

    #[test]
    fn products_of_nothing_are_zeros() {
        let nothing = Matrix { values: &[], stored: Stored::ByRows };
        assert!(multiply(nothing, nothing, Sizes { rows: 0, inner: 4, columns: 3 }).is_empty());
        let sizes = Sizes { rows: 2, inner: 0, columns: 3 };
        assert_eq!(multiply(nothing, nothing, sizes), [0.; 6]);
    }

    #[test]
    fn a_row_is_the_same_alone_and_among_others() {
        let sizes = Sizes { rows: 2 * ROWS + 9, inner: 300, columns: 40 };
        let (a, b) = (values(Stored::ByRows, (sizes.rows, 300)), values(Stored::ByRows, (300, 40)));
        let right = Matrix { values: &b, stored: Stored::ByRows };
        let all = multiply(Matrix { values: &a, stored: Stored::ByRows }, right, sizes);
        for row in [0, 1, 17, ROWS - 1, ROWS, 2 * ROWS + 8] {
            let left = Matrix { values: &a[row * 300..][..300], stored: Stored::ByRows };
            let alone = multiply(left, right, Sizes { rows: 1, ..sizes });
            assert_eq!(alone, all[row * 40..][..40], "{row}");
        }
    }
}
