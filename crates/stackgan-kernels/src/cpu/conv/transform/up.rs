//! Nearest up-sampling by two followed by a 3x3 convolution, on tiles of 2x2 small pixels: 25
//! products for sixteen outputs instead of 144.
//!
//! On an up-sampled line the taps a, b, c read only two different pixels. With S = a + b + c, the
//! four outputs of the small pixels `x_0` and `x_1`, whose neighbours are `x_l` and `x_r`, are
//!
//! ```text
//! y_0 = S x_0 - a (x_0 - x_l)        y_1 = S x_0 + c (x_1 - x_0)
//! y_2 = S x_1 - a (x_1 - x_0)        y_3 = S x_1 + c (x_r - x_1)
//! ```
//!
//! which is six products. Five are enough: once S is multiplied by the mean of the two pixels, the
//! terms in `x_1 - x_0` that `y_0` and `y_2` need differ only by a sign, and so do those of `y_1`
//! and `y_3`:
//!
//! ```text
//! m_0 = (x_0 + x_1) S / 2      m_1 = (x_1 - x_l) (-a)      m_2 = (x_r - x_0) c
//!                              m_3 = (x_1 - x_0) (c - S / 2)      m_4 = (x_1 - x_0) (S / 2 - a)
//! y_0 = m_0 + m_1 - m_4        y_1 = m_0 + m_3        y_2 = m_0 + m_4        y_3 = m_0 + m_2 - m_3
//! ```
//!
//! No coefficient is larger than one, so the accuracy is about that of the plain sum. On an
//! up-sampled line, Winograd's F(4, 3) reduces to a form with five products too, but with
//! coefficients up to eight. Two of the five products read the same sum of pixels, so 25 kinds of
//! product need only sixteen sums.

use super::{
    Along, Places, Reads, Row, add_tiles, by_places, from_tiles, of_both, to_both, to_tiles,
};
use crate::cpu::lane::Lane;
use crate::vectorised::vectorised;

/// Number of kinds of product along an axis.
pub(crate) const KINDS_ALONG: usize = 5;

/// Number of kinds of product, indexed by `5 * vertical + horizontal`.
pub(crate) const KINDS: usize = KINDS_ALONG * KINDS_ALONG;

/// Number of sums of pixels along an axis.
pub(crate) const SUMS_ALONG: usize = 4;

/// Number of sums of pixels, indexed by `4 * vertical + horizontal`.
pub(crate) const SUMS: usize = SUMS_ALONG * SUMS_ALONG;

/// Number of small pixels of a tile along an axis.
pub(crate) const SIDE: usize = 2;

/// Returns the sum of pixels that a kind of product reads.
pub(crate) const fn sum_of(kind: usize) -> usize {
    const OF: [usize; KINDS_ALONG] = [0, 1, 2, 3, 3];
    SUMS_ALONG * OF[kind / KINDS_ALONG] + OF[kind % KINDS_ALONG]
}

/// Returns the factors of three taps in a line.
#[inline(always)]
fn of_taps([a, b, c]: [f32; 3]) -> [f32; KINDS_ALONG] {
    let half = (a + b + c) * 0.5;
    [half, -a, c, c - half, half - a]
}

/// The factors of 3x3 taps.
struct Factors;

impl Places<9> for Factors {
    #[inline(always)]
    fn of(taps: [f32; 9], put: impl FnMut(usize, f32)) {
        of_both(taps, put, |taps| of_taps(taps));
    }
}

/// Writes the factors of 3x3 taps.
#[inline(always)]
pub(crate) fn factors<const STEP: usize>(taps: &[Lane], factors: &mut [Lane]) {
    by_places::<Factors, 9, KINDS, STEP>(taps, factors);
}

/// Returns the gradient of three taps in a line, given the gradient of their factors.
#[inline(always)]
fn to_taps(f: [f32; KINDS_ALONG]) -> [f32; 3] {
    let (sum, difference) = (f[0] * 0.5, (f[4] - f[3]) * 0.5);
    let half = (f[3] + f[4]) * 0.5;
    [sum - f[1] - half, sum + difference, sum + f[2] + half]
}

/// The adjoint of [`Factors`].
struct Folded;

impl Places<KINDS> for Folded {
    #[inline(always)]
    fn of(factors: [f32; KINDS], put: impl FnMut(usize, f32)) {
        to_both::<KINDS_ALONG, KINDS>(factors, put, |factors| to_taps(factors));
    }
}

/// Writes the gradient of the taps, given the gradient of the factors.
#[inline(always)]
pub(crate) fn fold(factors: &[Lane], taps: &mut [Lane]) {
    by_places::<Folded, KINDS, 9, 1>(factors, taps);
}

/// The sums of the pixels `x_l`, `x_0`, `x_1`, `x_r` of a line.
struct Inputs;

impl Along<4, 4> for Inputs {
    #[inline(always)]
    fn of([l, x0, x1, r]: [Lane; 4]) -> [Lane; 4] {
        [x0 + x1, x1 - l, r - x0, x1 - x0]
    }
}

/// The adjoint of [`Inputs`].
struct Taken;

impl Along<4, 4> for Taken {
    #[inline(always)]
    fn of([s, l, r, d]: [Lane; 4]) -> [Lane; 4] {
        [-l, s - r - d, s + l + d, r]
    }
}

/// The transform of five products in a line to four outputs.
struct Outputs;

impl Along<KINDS_ALONG, 4> for Outputs {
    #[inline(always)]
    fn of(m: [Lane; KINDS_ALONG]) -> [Lane; 4] {
        [m[0] + m[1] - m[4], m[0] + m[3], m[0] + m[4], m[0] + m[2] - m[3]]
    }
}

/// The adjoint of [`Outputs`].
struct Given;

impl Along<4, KINDS_ALONG> for Given {
    #[inline(always)]
    fn of(y: [Lane; 4]) -> [Lane; KINDS_ALONG] {
        [(y[0] + y[1]) + (y[2] + y[3]), y[0], y[3], y[1] - y[3], y[2] - y[0]]
    }
}

/// The pixels of a tile and their neighbours.
const READS: Reads = Reads::neighbours(1, SIDE);

vectorised! {
    /// Writes the sums of a row of tiles, `stride` apart, from its two rows of pixels and the two
    /// rows around them. `line` has a line for each vertical sum.
    pub(crate) fn input(out: &mut [Lane], stride: usize, rows: [Row<'_>; 4], line: &mut [Lane]) {
        from_tiles::<Inputs, 4, 4>((out, stride), rows, READS, line);
    }

    /// Writes up to four rows of large pixels from the products of a row of tiles. The last tile
    /// may have fewer columns.
    pub(crate) fn output(rows: &mut [Lane], width: usize, products: &[Lane], stride: usize) {
        to_tiles::<Outputs, KINDS_ALONG, 4>(rows, width, (products, stride));
    }

    /// Writes the kinds of a row of tiles from the gradient of its up to four rows of large pixels:
    /// the adjoint of [`output`].
    pub(crate) fn gradient(out: &mut [Lane], stride: usize, rows: [Row<'_>; 4], line: &mut [Lane]) {
        from_tiles::<Given, 4, KINDS_ALONG>((out, stride), rows, Reads::neighbours(0, 4), line);
    }

    /// Adds the contribution of the sums of row of tiles number `line` to a plane of small pixels:
    /// the adjoint of [`input`].
    pub(crate) fn scatter(plane: &mut [Lane], width: usize, line: usize, sums: &[Lane], stride: usize) {
        let at = ((SIDE * line) as isize - 1, width.div_ceil(SIDE));
        add_tiles::<Taken, 4, 4>((plane, width), at, READS, (sums, stride));
    }
}
