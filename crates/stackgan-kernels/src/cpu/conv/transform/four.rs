//! A 3x3 convolution of stride 1 on tiles of 4x4 pixels: 36 products instead of 144.
//!
//! Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, 2016). Along an axis, four outputs are
//! computed from six inputs d and three taps g:
//!
//! ```text
//! m_0 = (4 d_0 - 5 d_2 + d_4) g_0 / 4
//! m_1 = ((d_4 - 4 d_2) + (d_3 - 4 d_1)) -(g_0 + g_1 + g_2) / 6
//! m_2 = ((d_4 - 4 d_2) - (d_3 - 4 d_1)) -(g_0 - g_1 + g_2) / 6
//! m_3 = ((d_4 - d_2) + 2 (d_3 - d_1)) (g_0 + 2 g_1 + 4 g_2) / 24
//! m_4 = ((d_4 - d_2) - 2 (d_3 - d_1)) (g_0 - 2 g_1 + 4 g_2) / 24
//! m_5 = (4 d_1 - 5 d_3 + d_5) g_2
//! y_0 = m_0 + (m_1 + m_2) + (m_3 + m_4)          y_1 = (m_1 - m_2) + 2 (m_3 - m_4)
//! y_2 = (m_1 + m_2) + 4 (m_3 + m_4)              y_3 = (m_1 - m_2) + 8 (m_3 - m_4) + m_5
//! ```
//!
//! Factors of this size reduce the accuracy. For the shapes in the tests, results are within 1e-5
//! of the largest value of their sums in f64, and the golden steps of both recipes pass.

use super::{Along, Places, Reads, Row, by_places, from_tiles, of_both, to_tiles};
use crate::cpu::lane::Lane;
use crate::vectorised::vectorised;

/// Number of kinds of product, indexed by `6 * vertical + horizontal`.
pub(crate) const KINDS: usize = 36;

/// Number of pixels of a tile along an axis.
pub(crate) const SIDE: usize = 4;

/// Returns the factors of three taps in a line.
#[inline(always)]
fn of_taps(g: [f32; 3]) -> [f32; 6] {
    let ends = (g[0] + g[2]) * (-1. / 6.);
    let spread = g[0] * (1. / 24.) + g[2] * (1. / 6.);
    let (near, far) = (g[1] * (1. / 6.), g[1] * (1. / 12.));
    [g[0] * 0.25, ends - near, ends + near, spread + far, spread - far, g[2]]
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

/// The transform of six inputs in a line.
struct Inputs;

impl Along<6, 6> for Inputs {
    #[inline(always)]
    fn of(d: [Lane; 6]) -> [Lane; 6] {
        let (even, odd) = (d[4] - d[2] * 4., d[3] - d[1] * 4.);
        let (near, far) = (d[4] - d[2], (d[3] - d[1]) * 2.);
        [
            (d[0] - d[2]) * 4. + near,
            even + odd,
            even - odd,
            near + far,
            near - far,
            (d[1] - d[3]) * 4. + (d[5] - d[3]),
        ]
    }
}

/// The transform of six products in a line to four outputs.
struct Outputs;

impl Along<6, 4> for Outputs {
    #[inline(always)]
    fn of(m: [Lane; 6]) -> [Lane; 4] {
        let (ones, twos) = (m[1] + m[2], m[3] + m[4]);
        let (one, two) = (m[1] - m[2], m[3] - m[4]);
        [m[0] + ones + twos, one + two * 2., ones + twos * 4., one + two * 8. + m[5]]
    }
}

vectorised! {
    /// Writes the kinds of a row of tiles, `stride` apart, from its six rows of pixels.
    ///
    /// The rows are preceded by `left` zeros. `line` has a line for each vertical kind.
    pub(crate) fn input(
        out: &mut [Lane],
        stride: usize,
        rows: [Row<'_>; 6],
        left: usize,
        line: &mut [Lane],
    ) {
        from_tiles::<Inputs, 6, 6>((out, stride), rows, Reads::neighbours(left, SIDE), line);
    }

    /// Writes up to four rows of pixels from the products of a row of tiles. The last tile may have
    /// fewer columns.
    pub(crate) fn output(
        rows: &mut [Lane],
        width: usize,
        products: &[Lane],
        stride: usize,
    ) {
        to_tiles::<Outputs, 6, SIDE>(rows, width, (products, stride));
    }
}
