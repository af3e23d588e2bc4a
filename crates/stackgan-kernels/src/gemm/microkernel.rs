//! The inner loop of a matrix product: up to eight rows and 32 columns of the result in registers.
//!
//! The right operand's rows are contiguous and read where they are; the left operand is read value by value, so any
//! strides will do. A block adds up along the inner index in order, by fused multiply-adds (on the portable path by
//! multiplications and additions): its bits depend on the instruction set, and on nothing else.

use crate::path::Path;

/// Rows of a full block.
pub(super) const ROWS: usize = 8;

/// Columns of a full block.
pub(super) const COLUMNS: usize = 32;

/// A block of a product: `c = a b` or `c += a b` with `a (rows, depth)`, `b (depth, columns)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) depth: usize,
    pub(super) a: *const f32,
    pub(super) a_row: usize,
    pub(super) a_column: usize,
    pub(super) b: *const f32,
    pub(super) b_row: usize,
    pub(super) c: *mut f32,
    pub(super) c_row: usize,
    /// Whether the values of `c` are kept and added to.
    pub(super) add: bool,
}

impl Block {
    /// The same block from row `rows` on.
    ///
    /// # Safety
    /// `a` and `c` have more than `rows` rows.
    unsafe fn below(self, rows: usize) -> Self {
        // SAFETY: the caller says that these rows exist.
        unsafe {
            Self { a: self.a.add(rows * self.a_row), c: self.c.add(rows * self.c_row), ..self }
        }
    }

    /// The same block from column `columns` on.
    ///
    /// # Safety
    /// `b` and `c` have more than `columns` columns.
    unsafe fn right(self, columns: usize) -> Self {
        // SAFETY: the caller says that these columns exist.
        unsafe { Self { b: self.b.add(columns), c: self.c.add(columns), ..self } }
    }
}

/// Computes `rows` (1 to [`ROWS`]) rows of a block of `columns` columns: 16 or [`COLUMNS`].
///
/// # Safety
/// The CPU has the path. Every element of the three operands that the sizes and strides reach may be read, and of `c`
/// written, and nothing else refers to `c`.
pub(super) unsafe fn run(path: Path, block: Block, rows: usize, columns: usize) {
    // SAFETY: the caller's promise, and the parts below are disjoint parts of the block.
    unsafe {
        match path {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 if columns == COLUMNS => match rows {
                8 => avx512::<8, 2>(block),
                7 => avx512::<7, 2>(block),
                6 => avx512::<6, 2>(block),
                5 => avx512::<5, 2>(block),
                4 => avx512::<4, 2>(block),
                3 => avx512::<3, 2>(block),
                2 => avx512::<2, 2>(block),
                _ => avx512::<1, 2>(block),
            },
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => by_fours(block, rows, |block, rows| match rows {
                4 => avx512::<4, 1>(block),
                3 => avx512::<3, 1>(block),
                2 => avx512::<2, 1>(block),
                _ => avx512::<1, 1>(block),
            }),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => {
                for column in (0..columns).step_by(16) {
                    by_fours(block.right(column), rows, |block, rows| match rows {
                        4 => avx2::<4, 2>(block),
                        3 => avx2::<3, 2>(block),
                        2 => avx2::<2, 2>(block),
                        _ => avx2::<1, 2>(block),
                    });
                }
            }
            Path::Portable => {
                for column in (0..columns).step_by(8) {
                    by_fours(block.right(column), rows, |block, rows| match rows {
                        4 => portable::<4>(block),
                        3 => portable::<3>(block),
                        2 => portable::<2>(block),
                        _ => portable::<1>(block),
                    });
                }
            }
        }
    }
}

/// Hands on `rows` rows, four at a time.
///
/// # Safety
/// The block has `rows` rows.
unsafe fn by_fours(block: Block, rows: usize, part: impl Fn(Block, usize)) {
    for first in (0..rows).step_by(4) {
        // SAFETY: row `first` exists.
        part(unsafe { block.below(first) }, (rows - first).min(4));
    }
}

/// A kernel of `R` rows and `V` vectors, from the vector operations of an instruction set.
#[cfg(target_arch = "x86_64")]
macro_rules! kernel {
    ($name:ident, $feature:literal, $lanes:literal, $zero:ident, $load:ident, $splat:ident, $fma:ident, $add:ident, $store:ident) => {
        /// # Safety
        /// As [`run`], for `R` rows and `V` vectors of columns.
        #[target_feature(enable = $feature)]
        unsafe fn $name<const R: usize, const V: usize>(block: Block) {
            use std::arch::x86_64::*;
            let Block { depth, mut a, a_row, a_column, mut b, b_row, c, c_row, add } = block;
            let mut low = a.wrapping_add(4 * a_row);
            let mut sums = [[$zero(); V]; R];
            for _ in 0..depth {
                let mut right = [$zero(); V];
                for v in 0..V {
                    // SAFETY: `b` is at the current row of the right operand, which has V vectors.
                    right[v] = unsafe { $load(b.add($lanes * v)) };
                }
                for r in 0..R {
                    // Offsets from every fourth row: a chain of additions over eight rows would be as long as the products.
                    let row = if r < 4 {
                        a.wrapping_add(r * a_row)
                    } else {
                        low.wrapping_add((r - 4) * a_row)
                    };
                    // SAFETY: `a` and `low` are at the current column of the left operand's rows 0 and 4; it has R rows.
                    let left = $splat(unsafe { *row });
                    for v in 0..V {
                        sums[r][v] = $fma(left, right[v], sums[r][v]);
                    }
                }
                // Wrapping: after the last row the pointers are not used.
                a = a.wrapping_add(a_column);
                low = low.wrapping_add(a_column);
                b = b.wrapping_add(b_row);
            }
            for r in 0..R {
                for v in 0..V {
                    // SAFETY: row r and vector v are inside the result.
                    unsafe {
                        let out = c.add(r * c_row + $lanes * v);
                        let sum = if add { $add($load(out), sums[r][v]) } else { sums[r][v] };
                        $store(out, sum);
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernel!(
    avx512,
    "avx512f",
    16,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_storeu_ps
);

#[cfg(target_arch = "x86_64")]
kernel!(
    avx2,
    "avx2,fma",
    8,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_storeu_ps
);

/// Any CPU: `R` rows and eight columns, for the compiler to vectorise.
///
/// # Safety
/// As [`run`], for `R` rows and eight columns.
unsafe fn portable<const R: usize>(block: Block) {
    let Block { depth, mut a, a_row, a_column, mut b, b_row, c, c_row, add } = block;
    let mut sums = [[0f32; 8]; R];
    for _ in 0..depth {
        // SAFETY: `b` is at the current row of the right operand, which has eight columns; f32 arrays need no more
        // than the alignment of f32.
        let right = unsafe { *b.cast::<[f32; 8]>() };
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `a` is at the current column of the left operand, which has R rows.
            let left = unsafe { *a.add(r * a_row) };
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum += left * right;
            }
        }
        a = a.wrapping_add(a_column);
        b = b.wrapping_add(b_row);
    }
    for (r, sums) in sums.iter().enumerate() {
        // SAFETY: row r with eight columns is inside the result, which nothing else refers to.
        let out = unsafe { &mut *c.add(r * c_row).cast::<[f32; 8]>() };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = if add { *out + sum } else { *sum };
        }
    }
}
