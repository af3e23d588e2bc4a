//! Nearest up-sampling by two, then a 3x3 convolution, on tiles of 2x2 small pixels: 25 products for sixteen outputs, instead of 144.
//!
//! On an up-sampled line the taps a, b, c see pairs of equal pixels, so that one of the six points of Winograd's F(4, 3) (that of
//! -1) meets only zeros. Along an axis four outputs of the small pixels x_0 and x_1 and their neighbours x_l and x_r:
//!
//! ```text
//! m_0 = (x_l - 5/4 x_0 + 1/4 x_1) a           m_1 = (4 x_0 - x_1) (a + b + c) / 3
//! m_2 = -(x_0 - x_1) (a + 4 b + 4 c) / 12     m_3 = -(x_0 - x_1) (a + b + 4 c) / 6     m_4 = (4 x_0 - 5 x_1 + x_r) c
//! y_0 = m_0 + m_1 + m_2     y_1 = m_1 + 2 m_3     y_2 = m_1 + 4 m_2     y_3 = m_1 + 8 m_3 + m_4
//! ```
//!
//! Two of the five products read the same sum of pixels: sixteen sums for 25 kinds.

use super::{Row, combine};
use crate::cpu::lane::Lane;
use crate::vectorised::vectorised;

/// Kinds of product along an axis.
const FIVE: usize = 5;

/// Kinds of product, `5 * vertical + horizontal`.
pub(in super::super) const KINDS: usize = FIVE * FIVE;

/// Sums of pixels, `4 * vertical + horizontal`.
pub(in super::super) const SUMS: usize = 16;

/// The sum of pixels that a kind reads.
pub(in super::super) const fn sum_of(kind: usize) -> usize {
    const OF: [usize; FIVE] = [0, 1, 2, 2, 3];
    4 * OF[kind / FIVE] + OF[kind % FIVE]
}

/// Factors of 3x3 taps.
#[inline(always)]
pub(in super::super) fn factors(taps: &[Lane], factors: &mut [Lane]) {
    let line = |[a, b, c]: [Lane; 3]| {
        let bc = (b + c) * 4.;
        [a, (a + b + c) * (1. / 3.), (a + bc) * (-1. / 12.), (a + b + c * 4.) * (-1. / 6.), c]
    };
    let rows: [[Lane; FIVE]; 3] =
        [0, 1, 2].map(|r| line([taps[3 * r], taps[3 * r + 1], taps[3 * r + 2]]));
    for h in 0..FIVE {
        let column = line([rows[0][h], rows[1][h], rows[2][h]]);
        for v in 0..FIVE {
            factors[FIVE * v + h] = column[v];
        }
    }
}

/// Gradient of the taps from that of the factors.
#[inline(always)]
pub(in super::super) fn fold(factors: &[Lane], taps: &mut [Lane]) {
    let line = |f: [Lane; FIVE]| {
        let sum = f[1] * (1. / 3.);
        [
            f[0] + sum - f[2] * (1. / 12.) - f[3] * (1. / 6.),
            sum - f[2] * (1. / 3.) - f[3] * (1. / 6.),
            sum - f[2] * (1. / 3.) - f[3] * (2. / 3.) + f[4],
        ]
    };
    let rows: [[Lane; 3]; FIVE] =
        [0, 1, 2, 3, 4].map(|r| line(std::array::from_fn(|h| factors[FIVE * r + h])));
    for h in 0..3 {
        let column = line([rows[0][h], rows[1][h], rows[2][h], rows[3][h], rows[4][h]]);
        for v in 0..3 {
            taps[3 * v + h] = column[v];
        }
    }
}

/// The four sums of pixels along an axis.
#[inline(always)]
fn sums(l: Lane, x0: Lane, x1: Lane, r: Lane) -> [Lane; 4] {
    [l - x0 * 1.25 + x1 * 0.25, x0 * 4. - x1, x0 - x1, x0 * 4. - x1 * 5. + r]
}

vectorised! {
    /// The sums of a row of tiles, `stride` apart, from its two rows of pixels and the two around them.
    pub(in super::super) fn input(out: &mut [Lane], stride: usize, rows: [Row<'_>; 4], line: &mut [Lane]) {
        let length = line.len() / 4;
        let tiles = (length - 2) / 2;
        let (l0, rest) = line.split_at_mut(length);
        let (l1, rest) = rest.split_at_mut(length);
        let (l2, l3) = rest.split_at_mut(length);
        for (line, row) in [&mut *l0, &mut *l1, &mut *l2, &mut *l3].into_iter().zip(rows) {
            combine(line, row, None, |x, _| x);
        }
        let (l0, l1, l2, l3) = (&l0[..length], &l1[..length], &l2[..length], &l3[..length]);
        for i in 0..tiles {
            let mut columns = [[Lane::ZERO; 4]; 4]; // of sums down the columns, then across
            for (j, column) in columns.iter_mut().enumerate() {
                let at = 2 * i + j;
                *column = sums(l0[at], l1[at], l2[at], l3[at]);
            }
            for v in 0..4 {
                let across = sums(columns[0][v], columns[1][v], columns[2][v], columns[3][v]);
                for (h, sum) in across.into_iter().enumerate() {
                    out[(4 * v + h) * stride + i] = sum;
                }
            }
        }
    }

    /// Four rows of large pixels from the products of a row of tiles.
    pub(in super::super) fn output(rows: &mut [Lane], products: &[Lane], stride: usize) {
        let width = rows.len() / 4;
        for i in 0..width / 4 {
            let mut lines = [[Lane::ZERO; FIVE]; 4];
            for h in 0..FIVE {
                let m: [Lane; FIVE] = std::array::from_fn(|v| products[(FIVE * v + h) * stride + i]);
                let [y0, y1, y2, y3] = outputs(m);
                (lines[0][h], lines[1][h], lines[2][h], lines[3][h]) = (y0, y1, y2, y3);
            }
            for (r, line) in lines.into_iter().enumerate() {
                rows[r * width + 4 * i..][..4].copy_from_slice(&outputs(line));
            }
        }
    }

    /// The kinds of a row of tiles from the gradient of its four rows of large pixels: the adjoint of [`output`].
    pub(in super::super) fn gradient(out: &mut [Lane], stride: usize, rows: &[Lane]) {
        let width = rows.len() / 4;
        for i in 0..width / 4 {
            let mut lines = [[Lane::ZERO; FIVE]; 4];
            for (r, line) in lines.iter_mut().enumerate() {
                let y = &rows[r * width + 4 * i..][..4];
                *line = given([y[0], y[1], y[2], y[3]]);
            }
            for h in 0..FIVE {
                let column = given([lines[0][h], lines[1][h], lines[2][h], lines[3][h]]);
                for (v, kind) in column.into_iter().enumerate() {
                    out[(FIVE * v + h) * stride + i] = kind;
                }
            }
        }
    }

    /// Adds to a row of small pixels what the kinds of a row of tiles give to its row number `target` (0 to 3): the adjoint of
    /// [`input`].
    pub(in super::super) fn scatter(row: &mut [Lane], kinds: &[Lane], stride: usize, target: usize) {
        let width = row.len();
        let mut right = Lane::ZERO; // what the tile before gives to this one's first pixel
        for i in 0..width / 2 {
            let mut m = [Lane::ZERO; FIVE];
            for (h, m) in m.iter_mut().enumerate() {
                let kind = |v: usize| kinds[(FIVE * v + h) * stride + i];
                *m = match target {
                    0 => kind(0),
                    1 => kind(1) * 4. - kind(0) * 1.25 + (kind(2) + kind(3)) + kind(4) * 4.,
                    2 => kind(0) * 0.25 - kind(1) - (kind(2) + kind(3)) - kind(4) * 5.,
                    _ => kind(4),
                };
            }
            let difference = m[2] + m[3];
            if i > 0 {
                row[2 * i - 1] += m[0];
            }
            row[2 * i] += m[1] * 4. - m[0] * 1.25 + difference + m[4] * 4. + right;
            row[2 * i + 1] += m[0] * 0.25 - m[1] - difference - m[4] * 5.;
            right = m[4];
        }
    }
}

/// Four outputs of five products.
#[inline(always)]
fn outputs(m: [Lane; FIVE]) -> [Lane; 4] {
    [m[0] + m[1] + m[2], m[1] + m[3] * 2., m[1] + m[2] * 4., m[1] + m[3] * 8. + m[4]]
}

/// The adjoint of [`outputs`].
#[inline(always)]
fn given(y: [Lane; 4]) -> [Lane; FIVE] {
    [y[0], y[0] + y[1] + y[2] + y[3], y[0] + y[2] * 4., y[1] * 2. + y[3] * 8., y[3]]
}
