//! Products with few columns, both of whose operands are contiguous along the inner axis: dot products, a vector of inner
//! indices at a time. The gradient of a weight with three output channels is one.

use super::{Into, Matrix};
use crate::path::Path;

/// The most columns.
pub(super) const MOST: usize = 4;

/// Rows that share what is read of the right operand.
const ROWS: usize = 4;

/// As [`super::gemm`], for contiguous rows of `a` and contiguous columns of `b`, of which there are at most [`MOST`].
pub(super) fn multiply(path: Path, out: &mut [f32], into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    let (m, n, depth) = (a.rows, b.columns, a.columns);
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= MOST && depth == b.rows, "gemm: inner sizes {depth} and {}, {n} columns", b.rows);
    // Of what is missing at the end, something that is there, and its results are left alone.
    let columns: [&[f32]; MOST] =
        std::array::from_fn(|j| &b.data[j.min(n - 1) * b.column_stride..][..depth]);
    for (i, out) in out[..m * n].chunks_mut(ROWS * n).enumerate() {
        let rows: [&[f32]; ROWS] =
            std::array::from_fn(|r| &a.data[(ROWS * i + r).min(m - 1) * a.row_stride..][..depth]);
        let sums = match path {
            // SAFETY: a path is available where it is named, and all rows and columns are equally long.
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => unsafe {
                if n <= 3 { avx512::<3>(&rows, &columns) } else { avx512::<4>(&rows, &columns) }
            },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => unsafe {
                if n <= 3 { avx2::<3>(&rows, &columns) } else { avx2::<4>(&rows, &columns) }
            },
            Path::Portable => portable(&rows, &columns),
        };
        for (out, sums) in out.chunks_exact_mut(n).zip(&sums) {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = if into == Into::Add { *out + sum } else { *sum };
            }
        }
    }
}

/// The dot product of each row with each of the first `N` columns, by the vectors of an instruction set.
#[cfg(target_arch = "x86_64")]
macro_rules! dots {
    ($name:ident, $feature:literal, $lanes:literal, $zero:ident, $load:ident, $fma:ident, $store:ident) => {
        /// # Safety
        /// All rows and columns have the same length.
        #[target_feature(enable = $feature)]
        unsafe fn $name<const N: usize>(
            a: &[&[f32]; ROWS],
            b: &[&[f32]; MOST],
        ) -> [[f32; MOST]; ROWS] {
            use std::arch::x86_64::*;
            let depth = a[0].len();
            let mut sums = [[$zero(); N]; ROWS];
            let mut k = 0;
            while k + $lanes <= depth {
                let mut right = [$zero(); N];
                for j in 0..N {
                    // SAFETY: the vector from k on is inside the column.
                    right[j] = unsafe { $load(b[j].as_ptr().add(k)) };
                }
                for r in 0..ROWS {
                    // SAFETY: the vector from k on is inside the row.
                    let left = unsafe { $load(a[r].as_ptr().add(k)) };
                    for j in 0..N {
                        sums[r][j] = $fma(left, right[j], sums[r][j]);
                    }
                }
                k += $lanes;
            }
            let mut out = [[0.; MOST]; ROWS];
            for r in 0..ROWS {
                for j in 0..N {
                    let mut lanes = [0f32; $lanes];
                    // SAFETY: the array has the size of a vector.
                    unsafe { $store(lanes.as_mut_ptr(), sums[r][j]) };
                    let rest = a[r][k..].iter().zip(&b[j][k..]).map(|(a, b)| a * b);
                    out[r][j] = lanes.iter().sum::<f32>() + rest.sum::<f32>();
                }
            }
            out
        }
    };
}

#[cfg(target_arch = "x86_64")]
dots!(avx512, "avx512f", 16, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_fmadd_ps, _mm512_storeu_ps);

#[cfg(target_arch = "x86_64")]
dots!(avx2, "avx2,fma", 8, _mm256_setzero_ps, _mm256_loadu_ps, _mm256_fmadd_ps, _mm256_storeu_ps);

/// Any CPU.
fn portable(a: &[&[f32]; ROWS], b: &[&[f32]; MOST]) -> [[f32; MOST]; ROWS] {
    a.map(|row| b.map(|column| row.iter().zip(column).map(|(a, b)| a * b).sum()))
}
