//! The inner loop of the products over lanes.
//!
//! It keeps some rows and one or two lanes of columns of the result in registers. The right operand
//! is read lane by lane, the left one value by value. Every sum runs along the inner index in
//! order, using fused multiply-adds (multiplications and additions on the portable path). The bits
//! of a result therefore depend on the instruction set and on nothing else.
#![allow(unsafe_code, reason = "raw pointers, and functions compiled for newer CPUs")]

use crate::cpu::lane::LANES;
use crate::cpu::path::Path;

/// How the lanes of the left operand are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// A row of the result corresponds to a lane. The inner index runs along the lane, then on to
    /// the next block.
    Along,
    /// A row of the result corresponds to a position within the lane. The inner index runs from
    /// lane to lane.
    Across,
}

impl Left {
    /// Returns the largest number of rows of a tile.
    pub(super) const fn rows(self) -> usize {
        match self {
            Self::Along => 14,
            Self::Across => 8,
        }
    }
}

/// A tile of a product. All distances are in values, not lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// Number of runs of the inner index.
    pub(super) runs: usize,
    /// Number of inner indices in a run.
    pub(super) run: usize,
    pub(super) a: *const f32,
    /// Distance from one run of the left operand to the next.
    pub(super) a_run: usize,
    pub(super) b: *const f32,
    /// Distance from one run of the right operand to the next.
    pub(super) b_run: usize,
    /// Distance from one inner index of the right operand to the next.
    pub(super) b_row: usize,
    /// Distance from one lane of the right operand to the next.
    pub(super) b_lane: usize,
    pub(super) c: *mut f32,
    pub(super) c_row: usize,
    pub(super) c_lane: usize,
    /// Whether to add to the values of `c` instead of overwriting them.
    pub(super) add: bool,
}

impl Tile {
    /// Returns the part of the tile from column lane `lane` on.
    fn right(self, lane: usize) -> Self {
        Self {
            b: self.b.wrapping_add(lane * self.b_lane),
            c: self.c.wrapping_add(lane * self.c_lane),
            ..self
        }
    }

    /// Returns the part of the tile from row `row` on.
    fn below(self, row: usize, left: Left) -> Self {
        let a = match left {
            Left::Along => row * LANES,
            Left::Across => row,
        };
        Self { a: self.a.wrapping_add(a), c: self.c.wrapping_add(row * self.c_row), ..self }
    }
}

/// Calls `$kernel::<R, V, LEFT>` for the given number of rows.
macro_rules! by_rows {
    ($kernel:ident, $tile:expr, $rows:expr, $left:expr, $v:tt, [$($along:literal)*], [$($across:literal)*]) => {
        match ($left, $rows) {
            $((Left::Along, $along) => $kernel::<$along, $v, true>($tile),)*
            $((Left::Across, $across) => $kernel::<$across, $v, false>($tile),)*
            _ => unreachable!("a tile of {} rows", $rows),
        }
    };
}

/// Computes a tile of `rows` rows and `lanes` column lanes (1 or 2).
///
/// `rows` is 1 to [`Left::rows`] for [`Left::Along`], and exactly [`Left::rows`] for
/// [`Left::Across`].
///
/// # Safety
/// The CPU must support `path`. All values of the operands that the sizes and strides reach must be
/// readable, those of `c` must be writable, and nothing else may refer to `c`.
pub(super) unsafe fn run(path: Path, tile: Tile, left: Left, rows: usize, lanes: usize) {
    // SAFETY: the caller's promise; the parts below are disjoint parts of the tile.
    unsafe {
        match path {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 if lanes == 2 => {
                by_rows!(avx512, tile, rows, left, 2, [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [8]);
            }
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => {
                by_rows!(avx512, tile, rows, left, 1, [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [8]);
            }
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => parts(tile, left, rows, lanes, 6, |tile, rows| {
                by_rows!(avx2, tile, rows, left, 2, [1 2 3 4 5 6], [4]);
            }),
            #[cfg(target_arch = "aarch64")]
            Path::Neon => parts(tile, left, rows, lanes, 6, |tile, rows| {
                by_rows!(neon, tile, rows, left, 4, [1 2 3 4 5 6], [4]);
            }),
            Path::Portable => parts(tile, left, rows, lanes, 2, |tile, rows| {
                by_rows!(portable, tile, rows, left, LANES, [1 2], [2]);
            }),
        }
    }
}

/// Splits a tile into parts of one lane and at most `most` rows, and calls `part` for each.
///
/// The rows are divided evenly: a part of few rows has too few sums to fill the time until a
/// multiply-add is ready.
fn parts(
    tile: Tile,
    left: Left,
    rows: usize,
    lanes: usize,
    most: usize,
    part: impl Fn(Tile, usize),
) {
    let size = rows.div_ceil(rows.div_ceil(most).max(1)).max(1);
    for lane in 0..lanes {
        for row in (0..rows).step_by(size) {
            part(tile.right(lane).below(row, left), size.min(rows - row));
        }
    }
}

/// Defines a kernel of `R` rows and `V` vectors. `ALONG` says how the left operand is read.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! kernel {
    ($name:ident, $($instructions:ident)::+, $feature:literal, $width:literal, $lane:expr, $zero:ident, $load:ident, $splat:ident, $fma:ident, $add:ident, $store:ident) => {
        /// # Safety
        /// As [`run`], for `R` rows and `V` vectors of columns.
        #[target_feature(enable = $feature)]
        unsafe fn $name<const R: usize, const V: usize, const ALONG: bool>(tile: Tile) {
            use $($instructions)::+::*;
            let (row, step) = if ALONG { (LANES, 1) } else { (1, LANES) };
            // The offset of vector v in a row of columns: the vectors of a lane are adjacent, lanes
            // have their own distance.
            let at = |v: usize, lane: usize| if $lane { v * lane } else { v * $width };
            let mut sums = [[$zero(); V]; R];
            for outer in 0..tile.runs {
                let mut a = tile.a.wrapping_add(outer * tile.a_run);
                let mut b = tile.b.wrapping_add(outer * tile.b_run);
                for _ in 0..tile.run {
                    let mut right = [$zero(); V];
                    for v in 0..V {
                        // SAFETY: `b` is at the current row of the right operand, which has V
                        // vectors.
                        right[v] = unsafe { $load(b.add(at(v, tile.b_lane))) };
                    }
                    for r in 0..R {
                        // SAFETY: `a` is at the current inner index of the left operand, which has
                        // R rows.
                        let left = $splat(unsafe { *a.add(r * row) });
                        for v in 0..V {
                            sums[r][v] = $fma(left, right[v], sums[r][v]);
                        }
                    }
                    // Wrapping arithmetic, because the pointers are not used after the last index.
                    a = a.wrapping_add(step);
                    b = b.wrapping_add(tile.b_row);
                }
            }
            for r in 0..R {
                for v in 0..V {
                    // SAFETY: row r and vector v are inside the result.
                    unsafe {
                        let out = tile.c.add(r * tile.c_row + at(v, tile.c_lane));
                        let sum = if tile.add { $add($load(out), sums[r][v]) } else { sums[r][v] };
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
    std::arch::x86_64,
    "avx512f",
    16,
    true,
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
    std::arch::x86_64,
    "avx2,fma",
    8,
    false,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_storeu_ps
);

#[cfg(target_arch = "aarch64")]
kernel!(
    neon,
    arm,
    "neon",
    4,
    false,
    zero,
    vld1q_f32,
    vdupq_n_f32,
    multiply_add,
    vaddq_f32,
    vst1q_f32
);

/// ARM's instructions, with those of which the kernel expects another form.
#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::{float32x4_t, vfmaq_f32};
    pub(super) use std::arch::aarch64::{vaddq_f32, vdupq_n_f32, vld1q_f32, vst1q_f32};

    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn zero() -> float32x4_t {
        vdupq_n_f32(0.)
    }

    /// `a * b + sum`, rounded once.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn multiply_add(a: float32x4_t, b: float32x4_t, sum: float32x4_t) -> float32x4_t {
        vfmaq_f32(sum, a, b)
    }
}

/// Runs on any CPU: `R` rows and one lane (`V` values) of columns, for the compiler to vectorise.
///
/// # Safety
/// As [`run`], for `R` rows and one lane.
unsafe fn portable<const R: usize, const V: usize, const ALONG: bool>(tile: Tile) {
    let (row, step) = if ALONG { (LANES, 1) } else { (1, LANES) };
    let mut sums = [[0f32; V]; R];
    for outer in 0..tile.runs {
        let mut a = tile.a.wrapping_add(outer * tile.a_run);
        let mut b = tile.b.wrapping_add(outer * tile.b_run);
        for _ in 0..tile.run {
            // SAFETY: `b` is at the current row of the right operand, which has a lane.
            let right = unsafe { *b.cast::<[f32; V]>() };
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `a` is at the current inner index of the left operand, which has R rows.
                let left = unsafe { *a.add(r * row) };
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum += left * right;
                }
            }
            a = a.wrapping_add(step);
            b = b.wrapping_add(tile.b_row);
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        // SAFETY: row r is inside the result, and nothing else refers to the result.
        let out = unsafe { &mut *tile.c.add(r * tile.c_row).cast::<[f32; V]>() };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = if tile.add { *out + sum } else { *sum };
        }
    }
}
