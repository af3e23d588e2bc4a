//! Matrix product of slices: the one place that calls the `gemm` crate, with its bounds checked.

use ::gemm::Parallelism;

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

    /// Some of the rows.
    fn rows_from(self, first: usize, rows: usize) -> Self {
        Self { data: &self.data[first * self.row_stride..], rows, ..self }
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

/// Results up to which `gemm` sums along contiguous inner axes by its "horizontal" kernels, without packing.
const HORIZONTAL: usize = 256;

/// `out = a b` or `out += a b` on this thread alone; `out` is row-major and dense, `(a.rows, b.columns)`.
///
/// # Panics
/// When sizes do not fit: a mistake in this crate, which must never become a wild write.
pub(crate) fn gemm(out: &mut [f32], into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    let (m, n) = (a.rows, b.columns);
    // Many dot products of contiguous rows with few others: packing would cost more than the sums.
    if a.column_stride == 1 && b.row_stride == 1 && m.min(n) <= 16 && m * n > HORIZONTAL {
        if m <= n {
            let block = HORIZONTAL / m;
            for first in (0..n).step_by(block) {
                let part = b.transposed().rows_from(first, block.min(n - first)).transposed();
                product(&mut out[first..], n, into, a, part);
            }
        } else {
            let block = HORIZONTAL / n;
            for first in (0..m).step_by(block) {
                let part = a.rows_from(first, block.min(m - first));
                product(&mut out[first * n..], n, into, part, b);
            }
        }
    } else {
        product(out, n, into, a, b);
    }
}

/// [`gemm`] with rows of the result `out_stride` apart.
fn product(out: &mut [f32], out_stride: usize, into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    if m == 0 || n == 0 {
        return;
    }
    assert!(k > 0 && k == b.rows, "gemm: inner sizes {k} and {}", b.rows);
    assert!(a.end() <= a.data.len() && b.end() <= b.data.len(), "gemm: operand out of bounds");
    assert!(n <= out_stride && (m - 1) * out_stride + n <= out.len(), "gemm: result out of bounds");
    let stride = |s: usize| isize::try_from(s).unwrap_or(isize::MAX);
    // SAFETY: the three assertions above: every element that the sizes and strides can reach lies inside its slice
    // (strides are not negative, so the last element is the farthest). `out` is a unique borrow, so it overlaps
    // neither operand. f32 is a supported type. When `into` is Overwrite `out` is only written.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride(out_stride),
            into == Into::Add,
            a.data.as_ptr(),
            stride(a.column_stride),
            stride(a.row_stride),
            b.data.as_ptr(),
            stride(b.column_stride),
            stride(b.row_stride),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Into, Matrix, gemm};

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

    /// The blocks of the horizontal kernels, against a plain loop, both ways round and accumulating.
    #[test]
    fn long_dot_products() {
        for (m, n, k) in [(3, 300, 20), (300, 3, 20), (16, 40, 33), (1, 257, 5)] {
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
