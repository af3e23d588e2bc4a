//! Matrix product of slices on one thread: the one place that calls the kernels, with their bounds checked.

mod dots;
mod microkernel;

use crate::path::Path;
use crate::scratch;
use crate::vectorised::vectorised;
use microkernel::{Block, COLUMNS, ROWS};

/// Columns of the narrowest block.
const LEAST_COLUMNS: usize = 16;

/// A matrix in a slice. Element `(i, j)` is at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` contiguous values, `row_stride` apart.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// Rows that follow each other without a gap.
    pub(crate) fn dense(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::new(data, rows, columns, columns)
    }

    /// Rows and columns exchanged; no data moves.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// One past the last element.
    fn end(&self) -> usize {
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// What happens to the values already in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Into {
    /// They are never read.
    Overwrite,
    /// The product is added to them.
    Add,
}

/// Inner indices taken at once: 256 rows of 32 columns of the right operand stay in the first-level cache while all rows
/// of the left one pass.
const DEPTH: usize = 256;

/// `out = a b` or `out += a b` on this thread alone; `out` is row-major and dense, `(a.rows, b.columns)`.
///
/// Operands are read where they are; but of a `b` whose rows are not contiguous a transposed copy is made, unless it has
/// few columns. Let it be the smaller operand.
///
/// # Panics
/// When sizes do not fit: a mistake in this crate, which must never become a wild write.
pub(crate) fn gemm(out: &mut [f32], into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    if b.column_stride == 1 {
        return multiply(Path::best(), out, into, a, b);
    }
    assert_eq!(b.row_stride, 1, "gemm: neither rows nor columns of an operand are contiguous");
    if b.columns <= dots::MOST && a.column_stride == 1 {
        return dots::multiply(Path::best(), out, into, a, b);
    }
    scratch::with([b.rows * b.columns], |[copy]| {
        transpose(copy, b.data, b.rows, b.columns, b.column_stride);
        multiply(Path::best(), out, into, a, Matrix::dense(copy, b.rows, b.columns));
    });
}

vectorised! {
    /// `out[i][j] = from[j * stride + i]`, for `rows` i and `columns` j.
    fn transpose(out: &mut [f32], from: &[f32], rows: usize, columns: usize, stride: usize) {
        const BLOCK: usize = 16;
        for first in (0..columns).step_by(BLOCK) {
            let width = BLOCK.min(columns - first);
            for top in (0..rows).step_by(BLOCK) {
                let height = BLOCK.min(rows - top);
                let mut block = [[0f32; BLOCK]; BLOCK];
                for (j, line) in block[..width].iter_mut().enumerate() {
                    line[..height].copy_from_slice(&from[(first + j) * stride + top..][..height]);
                }
                for i in 0..height {
                    let out = &mut out[(top + i) * columns + first..][..width];
                    for (out, line) in out.iter_mut().zip(&block) {
                        *out = line[i];
                    }
                }
            }
        }
    }
}

/// Checks that an operand and a result fit: what the unsafe block below relies on.
fn assert_fits(out: &[f32], a: &Matrix<'_>, b: &Matrix<'_>) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert!(k > 0 && k == b.rows, "gemm: inner sizes {k} and {}", b.rows);
    assert!(a.end() <= a.data.len() && b.end() <= b.data.len(), "gemm: operand out of bounds");
    assert!(m * n <= out.len(), "gemm: result out of bounds");
}

/// [`gemm`] by the kernels of `path`, for `b` with contiguous rows.
fn multiply(path: Path, out: &mut [f32], into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    if m == 0 || n == 0 {
        return;
    }
    assert_fits(out, &a, &b);
    assert_eq!(b.column_stride, 1, "gemm: rows of the right operand");
    let whole = n / LEAST_COLUMNS * LEAST_COLUMNS;
    for first in (0..k).step_by(DEPTH) {
        let depth = DEPTH.min(k - first);
        let mut column = 0;
        while column < whole {
            let columns = COLUMNS.min(whole - column);
            for row in (0..m).step_by(ROWS) {
                let block = Block {
                    depth,
                    a: a.data[row * a.row_stride + first * a.column_stride..].as_ptr(),
                    a_row: a.row_stride,
                    a_column: a.column_stride,
                    b: b.data[first * b.row_stride + column..].as_ptr(),
                    b_row: b.row_stride,
                    c: out[row * n + column..].as_mut_ptr(),
                    c_row: n,
                    add: into == Into::Add || first > 0,
                };
                // SAFETY: `path` is available (it comes from `Path::available`). The block's rows, columns and inner
                // indices are inside the operands, which `assert_fits` has found inside their slices. `out` is a
                // unique borrow, so it overlaps neither.
                unsafe { microkernel::run(path, block, ROWS.min(m - row), columns) };
            }
            column += columns;
        }
    }
    if whole < n {
        narrow(path, (out, n), into, a, Matrix { data: &b.data[whole..], columns: n - whole, ..b });
    }
}

/// The last columns, too few for a kernel: a copy of them is filled up with zeros.
fn narrow(path: Path, (out, n): (&mut [f32], usize), into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    scratch::with([b.rows * LEAST_COLUMNS, a.rows * LEAST_COLUMNS], |[wide, sums]| {
        for (k, row) in wide.chunks_exact_mut(LEAST_COLUMNS).enumerate() {
            row[..b.columns].copy_from_slice(&b.data[k * b.row_stride..][..b.columns]);
            row[b.columns..].fill(0.);
        }
        let wide = Matrix::dense(wide, b.rows, LEAST_COLUMNS);
        multiply(path, sums, Into::Overwrite, a, wide);
        for (out, sums) in out.chunks_mut(n).zip(sums.chunks_exact(LEAST_COLUMNS)) {
            for (out, sum) in out[n - b.columns..].iter_mut().zip(sums) {
                *out = if into == Into::Add { *out + sum } else { *sum };
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{Into, Matrix, Path, dots, gemm, multiply};

    #[test]
    fn products_by_hand() {
        let a = [1., 2., 3., 4., 5., 6.]; // 2 x 3
        let b = [1., 0., 2., 1., 0., 1.]; // 3 x 2
        let mut out = [100.; 4];
        gemm(&mut out, Into::Overwrite, Matrix::dense(&a, 2, 3), Matrix::dense(&b, 3, 2));
        assert_eq!(out, [5., 5., 14., 11.]);
        gemm(&mut out, Into::Add, Matrix::dense(&a, 2, 3), Matrix::dense(&b, 3, 2));
        assert_eq!(out, [10., 10., 28., 22.]);
        // aᵀ from the transposed view, and b as two columns of a wider matrix.
        let at = [1., 4., 2., 5., 3., 6.];
        let wide = [1., 0., 9., 2., 1., 9., 0., 1.];
        let a = Matrix::dense(&at, 3, 2).transposed();
        gemm(&mut out, Into::Overwrite, a, Matrix::new(&wide, 3, 2, 3));
        assert_eq!(out, [5., 5., 14., 11.]);
    }

    /// Every path against a plain sum: whole and partial blocks of rows, columns and inner indices, strided operands,
    /// overwriting and adding. The numbers are small integers, so every sum is exact.
    #[test]
    fn every_path_equals_the_plain_sum() {
        let sizes = [
            (8, 32, 7),
            (16, 64, 300),
            (3, 16, 27),
            (1, 1, 1),
            (5, 37, 9),
            (15, 50, 257),
            (9, 15, 513),
            (70, 96, 40),
        ];
        for path in Path::available() {
            for (m, n, k) in sizes {
                let value =
                    |i: usize, j: usize, seed: usize| ((i * 7 + j * 3 + seed) % 9) as f32 - 4.;
                let (a_stride, b_stride) = (k + 5, n + 3);
                let a: Vec<f32> =
                    (0..m * a_stride).map(|i| value(i / a_stride, i % a_stride, 1)).collect();
                let b: Vec<f32> =
                    (0..k * b_stride).map(|i| value(i / b_stride, i % b_stride, 2)).collect();
                for into in [Into::Overwrite, Into::Add] {
                    let mut out = vec![2.; m * n];
                    let (a, b) = (Matrix::new(&a, m, k, a_stride), Matrix::new(&b, k, n, b_stride));
                    multiply(path, &mut out, into, a, b);
                    for (i, out) in out.iter().enumerate() {
                        let dot: f32 =
                            (0..k).map(|l| value(i / n, l, 1) * value(l, i % n, 2)).sum();
                        let expected = if into == Into::Add { dot + 2. } else { dot };
                        assert_eq!(*out, expected, "{path:?} {m} {n} {k} {into:?}: {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn few_columns_on_every_path() {
        for path in Path::available() {
            for (m, n, k) in [(1, 1, 1), (5, 3, 40), (4, 4, 16), (7, 2, 1000), (9, 3, 17)] {
                let a: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32 - 3.).collect();
                let b: Vec<f32> = (0..n * k).map(|i| (i % 5) as f32 - 2.).collect();
                let mut out = vec![1.; m * n];
                let b_t = Matrix::dense(&b, n, k).transposed();
                dots::multiply(path, &mut out, Into::Add, Matrix::dense(&a, m, k), b_t);
                for (i, out) in out.iter().enumerate() {
                    let (a, b) = (&a[i / n * k..][..k], &b[i % n * k..][..k]);
                    let expected: f32 = 1. + a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                    assert_eq!(*out, expected, "{path:?} {m} {n} {k}: {i}");
                }
            }
        }
    }

    #[test]
    fn a_transposed_right_operand() {
        for (m, n, k) in [(3, 300, 20), (20, 3, 300), (16, 40, 33), (1, 257, 5)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32 - 3.).collect();
            let b: Vec<f32> = (0..n * k).map(|i| (i % 5) as f32 - 2.).collect();
            let mut out = vec![1.; m * n];
            let b_t = Matrix::dense(&b, n, k).transposed();
            gemm(&mut out, Into::Add, Matrix::dense(&a, m, k), b_t);
            for (i, out) in out.iter().enumerate() {
                let (a, b) = (&a[i / n * k..][..k], &b[i % n * k..][..k]);
                let expected: f32 = 1. + a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                assert_eq!(*out, expected, "{m} {n} {k}: {i}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn an_operand_that_is_too_short_is_refused() {
        let mut out = [0.; 4];
        let a = [0.; 6];
        gemm(&mut out, Into::Overwrite, Matrix::dense(&a, 2, 3), Matrix::new(&a, 3, 2, 3));
    }
}
