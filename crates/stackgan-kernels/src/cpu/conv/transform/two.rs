//! A 3x3 convolution of stride 1 on tiles of 2x2 pixels: sixteen products instead of 36.
//!
//! Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional
//! Neural Networks", 2016). Along an axis, two outputs are computed from four inputs d and three
//! taps g:
//!
//! ```text
//! m_0 = (d_0 - d_2) g_0              m_1 = (d_1 + d_2) (g_0 + g_1 + g_2) / 2
//! m_3 = (d_1 - d_3) g_2              m_2 = (d_2 - d_1) (g_0 - g_1 + g_2) / 2
//! y_0 = m_0 + m_1 + m_2              y_1 = m_1 - m_2 - m_3
//! ```

use super::{Along, Places, Reads, Row, by_places, from_tiles, of_both, to_both, to_tiles};
use crate::cpu::lane::Lane;
use crate::vectorised::vectorised;

/// Number of kinds of product, indexed by `4 * vertical + horizontal`.
pub(crate) const KINDS: usize = 16;

/// Number of pixels of a tile along an axis.
pub(crate) const SIDE: usize = 2;

/// Returns the factors of three taps in a line.
#[inline(always)]
fn of_taps(g: [f32; 3]) -> [f32; 4] {
    let ends = g[0] + g[2];
    [g[0], (ends + g[1]) * 0.5, (ends - g[1]) * 0.5, g[2]]
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
fn to_taps(f: [f32; 4]) -> [f32; 3] {
    let (sum, difference) = ((f[1] + f[2]) * 0.5, (f[1] - f[2]) * 0.5);
    [f[0] + sum, difference, sum + f[3]]
}

/// The adjoint of [`Factors`].
struct Folded;

impl Places<KINDS> for Folded {
    #[inline(always)]
    fn of(factors: [f32; KINDS], put: impl FnMut(usize, f32)) {
        to_both::<4, KINDS>(factors, put, |factors| to_taps(factors));
    }
}

/// Writes the gradient of the taps, given the gradient of the factors.
#[inline(always)]
pub(crate) fn fold(factors: &[Lane], taps: &mut [Lane]) {
    by_places::<Folded, KINDS, 9, 1>(factors, taps);
}

/// The transform of four inputs in a line.
struct Inputs;

impl Along<4, 4> for Inputs {
    #[inline(always)]
    fn of(d: [Lane; 4]) -> [Lane; 4] {
        [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]
    }
}

/// The transform of four products in a line to two outputs.
struct Outputs;

impl Along<4, SIDE> for Outputs {
    #[inline(always)]
    fn of(m: [Lane; 4]) -> [Lane; SIDE] {
        [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
    }
}

/// The adjoint of [`Outputs`].
struct Given;

impl Along<SIDE, 4> for Given {
    #[inline(always)]
    fn of([a, b]: [Lane; SIDE]) -> [Lane; 4] {
        [a, a + b, a - b, -b]
    }
}

vectorised! {
    /// Writes the kinds of a row of tiles, `stride` apart, from its four rows of pixels.
    ///
    /// The rows are preceded by `left` zeros. `line` has a line for each vertical kind.
    pub(crate) fn input(
        out: &mut [Lane],
        stride: usize,
        rows: [Row<'_>; 4],
        left: usize,
        line: &mut [Lane],
    ) {
        from_tiles::<Inputs, 4, 4>((out, stride), rows, Reads::neighbours(left, SIDE), line);
    }

    /// Writes up to two rows of pixels from the products of a row of tiles. The last tile may have
    /// only one column.
    pub(crate) fn output(
        rows: &mut [Lane],
        width: usize,
        products: &[Lane],
        stride: usize,
    ) {
        to_tiles::<Outputs, 4, SIDE>(rows, width, (products, stride));
    }

    /// Writes the kinds of a row of tiles from the gradient of its two rows of pixels: the adjoint
    /// of [`output`].
    pub(crate) fn gradient(
        out: &mut [Lane],
        stride: usize,
        rows: [Row<'_>; SIDE],
        line: &mut [Lane],
    ) {
        from_tiles::<Given, SIDE, 4>((out, stride), rows, Reads::neighbours(0, SIDE), line);
    }
}
