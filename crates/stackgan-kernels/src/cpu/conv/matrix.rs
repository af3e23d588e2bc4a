//! Products of matrices: the multiplications of a convolution of one tap, whose pixels are rows.

use rayon::prelude::*;

use super::factors::Transform;
use super::packed::Packed;
use super::products::{self, Out, Side};
use super::weights::{Order, Pack, Weight};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, Lane};
use crate::cpu::path::Path;
use crate::cpu::scratch;
use crate::cpu::tiles::ENOUGH_PIECES;
use crate::cpu::transpose::across;

/// Number of rows of the result that a task computes. What a product processes of them together
/// ([`products::DEPTH`] lanes of each) stays in a second-level cache.
const ROWS: usize = 384;

/// Number of multiply-adds below which a product is computed by one thread: handing work to others
/// would take longer.
const ALONE: usize = 1 << 20;
/// A matrix is packed in the time of about as many multiply-adds of each of its values.
const FEW: usize = 8;

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

/// The right operand of products, `(inner, columns)`, packed.
#[derive(Debug)]
pub(crate) struct Right {
    lanes: Buffer,
    depth: usize,
    outs: usize,
    inner: usize,
    columns: usize,
}

impl Right {
    /// Packs a matrix.
    ///
    /// # Panics
    /// If it has fewer values than `inner` times `columns`.
    pub(crate) fn new(matrix: Matrix<'_>, inner: usize, columns: usize) -> Self {
        let order = match matrix.stored {
            Stored::ByRows => Order::InnerOut,
            Stored::ByColumns => Order::OutInner,
        };
        let pack = Pack { inner_channels: inner, out_channels: columns, ..Pack::ONE };
        let weight = Weight { values: matrix.values, pack, order, transform: Transform::Each };
        let (depth, outs) = (weight.depth(), weight.outs());
        let mut lanes = Buffer::stale(weight.lanes(outs));
        if inner * columns > ALONE / FEW {
            weight.packed(&mut lanes);
        } else if !lanes.is_empty() {
            weight.part(&mut lanes, 0..outs, 0..depth);
        }
        Self { lanes, depth, outs, inner, columns }
    }

    /// Returns `left · self` for `left (rows, inner)`, `(rows, columns)`, one row after the other.
    ///
    /// Each sum has an order that depends on its length alone: a row does not depend on the others.
    ///
    /// # Panics
    /// If `left` has fewer values than its sizes say.
    pub(crate) fn multiply(&self, left: Matrix<'_>, rows: usize) -> Vec<f32> {
        let Self { depth, outs, inner, columns, .. } = *self;
        if rows == 0 || inner == 0 || columns == 0 {
            return vec![0.; rows * columns];
        }
        let right = Packed { lanes: &self.lanes, kinds: 1, depth, outs };
        let group = outs.div_ceil(ENOUGH_PIECES).next_multiple_of(2);
        let threads = if rows * inner * columns < ALONE { Threads::This } else { Threads::All };
        let mut result = vec![0.; rows * columns];
        in_chunks(&mut result, ROWS * columns, threads, |task, out| {
            let here = out.len() / columns;
            let mut products = Buffer::stale(outs * here);
            scratch::lanes([depth * here], |[side]| {
                for (block, side) in side.chunks_exact_mut(here).enumerate() {
                    gather(left, (rows, inner), (task * ROWS, block), side);
                }
                let left = Side { lanes: side, stride: here, rows: here };
                in_chunks(&mut products, group * here, threads, |i, lanes| {
                    let blocks = i * group..i * group + lanes.len() / here;
                    let out = Out { lanes, stride: here, add: false };
                    products::multiply(Path::best(), out, left, (right, 0), blocks);
                });
            });
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                for (out, lanes) in out.chunks_mut(LANES).zip(products.chunks_exact(here)) {
                    out.copy_from_slice(&lanes[row].0[..out.len()]);
                }
            }
        });
        result
    }
}

/// The threads that share some work.
#[derive(Clone, Copy, Debug)]
enum Threads {
    This,
    All,
}

/// Calls `f(index of the chunk, chunk)` for all chunks.
fn in_chunks<T: Send>(
    values: &mut [T],
    chunk: usize,
    threads: Threads,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    match threads {
        Threads::This => values.chunks_mut(chunk).enumerate().for_each(|(i, chunk)| f(i, chunk)),
        Threads::All => values.par_chunks_mut(chunk).enumerate().for_each(|(i, c)| f(i, c)),
    }
}

/// Writes sixteen values of the inner index, those of `block`, for the rows from `first` on of a
/// matrix `(rows, inner)`.
fn gather(
    left: Matrix<'_>,
    (rows, inner): (usize, usize),
    (first, block): (usize, usize),
    out: &mut [Lane],
) {
    let start = block * LANES;
    let length = LANES.min(inner - start);
    match left.stored {
        Stored::ByRows => {
            for (row, out) in out.iter_mut().enumerate() {
                let values = &left.values[(first + row) * inner + start..][..length];
                let mut lane = [0.; LANES];
                lane[..length].copy_from_slice(values);
                *out = Lane(lane);
            }
        }
        Stored::ByColumns => {
            for (i, out) in out.chunks_mut(LANES).enumerate() {
                let from = &left.values[start * rows + first + i * LANES..];
                across(out, from, rows, (length, out.len()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, ROWS, Right, Stored};

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
        let sizes = [(1, 1, 1), (5, 37, 19), (ROWS + 3, 20, 33), (2, 400, 310), (16, 16, 16)];
        for (rows, inner, columns) in sizes {
            let mut first: Option<Vec<f32>> = None;
            for left in [Stored::ByRows, Stored::ByColumns] {
                for right in [Stored::ByRows, Stored::ByColumns] {
                    let (a, b) = (values(left, (rows, inner)), values(right, (inner, columns)));
                    let right = Right::new(Matrix { values: &b, stored: right }, inner, columns);
                    let y = right.multiply(Matrix { values: &a, stored: left }, rows);
                    assert_eq!(y, *first.get_or_insert(y.clone()), "{rows} {inner} {columns}");
                }
            }
            for (at, y) in first.unwrap().into_iter().enumerate() {
                let (i, j) = (at / columns, at % columns);
                let exact: f64 =
                    (0..inner).map(|k| f64::from(value(i, k)) * f64::from(value(k, j))).sum();
                assert!(
                    (f64::from(y) - exact).abs() < 1e-4,
                    "{rows} {inner} {columns}: {i} {j} {y} {exact}"
                );
            }
        }
    }

    #[test]
    fn products_of_nothing_are_zeros() {
        let nothing = Matrix { values: &[], stored: Stored::ByRows };
        let twelve = Matrix { values: &[1.; 12], stored: Stored::ByRows };
        assert!(Right::new(twelve, 4, 3).multiply(nothing, 0).is_empty());
        assert!(Right::new(nothing, 4, 0).multiply(nothing, 3).is_empty());
        assert_eq!(Right::new(nothing, 0, 3).multiply(nothing, 2), [0.; 6]);
    }

    #[test]
    fn a_row_is_the_same_alone_and_among_others() {
        let rows = 2 * ROWS + 9;
        let (a, b) = (values(Stored::ByRows, (rows, 300)), values(Stored::ByRows, (300, 40)));
        let right = Right::new(Matrix { values: &b, stored: Stored::ByRows }, 300, 40);
        let all = right.multiply(Matrix { values: &a, stored: Stored::ByRows }, rows);
        for row in [0, 1, 17, ROWS - 1, ROWS, 2 * ROWS + 8] {
            let left = Matrix { values: &a[row * 300..][..300], stored: Stored::ByRows };
            assert_eq!(right.multiply(left, 1), all[row * 40..][..40], "{row}");
        }
    }
}
