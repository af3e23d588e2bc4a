//! A 3x3 convolution of stride 1 on tiles of 2x2 pixels: sixteen products instead of 36.
//!
//! Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016). Along an
//! axis two outputs of four inputs d and three taps g:
//!
//! ```text
//! m_0 = (d_0 - d_2) g_0              m_1 = (d_1 + d_2) (g_0 + g_1 + g_2) / 2
//! m_3 = (d_1 - d_3) g_2              m_2 = (d_2 - d_1) (g_0 - g_1 + g_2) / 2
//! y_0 = m_0 + m_1 + m_2              y_1 = m_1 - m_2 - m_3
//! ```

use super::{Row, by_places, combine};
use crate::cpu::lane::{Lane, one_pixel};
use crate::vectorised::vectorised;

/// Kinds of product, `4 * vertical + horizontal`.
pub(in super::super) const KINDS: usize = 16;

/// Pixels of a tile along an axis.
pub(in super::super) const SIDE: usize = 2;

/// Factors of three taps in a line.
#[inline(always)]
fn of_taps(g: [f32; 3]) -> [f32; 4] {
    let ends = g[0] + g[2];
    [g[0], (ends + g[1]) * 0.5, (ends - g[1]) * 0.5, g[2]]
}

/// Factors of 3x3 taps.
#[inline(always)]
pub(in super::super) fn factors<const STEP: usize>(taps: &[Lane], factors: &mut [Lane]) {
    by_places::<9, { KINDS }, STEP>(taps, factors, |g| {
        let (a, b, c) =
            (of_taps([g[0], g[1], g[2]]), of_taps([g[3], g[4], g[5]]), of_taps([g[6], g[7], g[8]]));
        let mut factors = [0.; KINDS];
        for h in 0..4 {
            let column = of_taps([a[h], b[h], c[h]]);
            for v in 0..4 {
                factors[4 * v + h] = column[v];
            }
        }
        factors
    });
}

/// Gradient of three taps in a line from that of their factors.
#[inline(always)]
fn to_taps(f: [f32; 4]) -> [f32; 3] {
    let (sum, difference) = ((f[1] + f[2]) * 0.5, (f[1] - f[2]) * 0.5);
    [f[0] + sum, difference, sum + f[3]]
}

/// Gradient of the taps from that of the factors.
#[inline(always)]
pub(in super::super) fn fold(factors: &[Lane], taps: &mut [Lane]) {
    by_places::<{ KINDS }, 9, 1>(factors, taps, |f| {
        let mut rows = [[0.; 3]; 4];
        for v in 0..4 {
            rows[v] = to_taps([f[4 * v], f[4 * v + 1], f[4 * v + 2], f[4 * v + 3]]);
        }
        let mut taps = [0.; 9];
        for h in 0..3 {
            let column = to_taps([rows[0][h], rows[1][h], rows[2][h], rows[3][h]]);
            for v in 0..3 {
                taps[3 * v + h] = column[v];
            }
        }
        taps
    });
}

vectorised! {
    /// The kinds of a row of tiles, `stride` apart, from its four rows of pixels, which have `left` zeros before them.
    pub(in super::super) fn input(
        out: &mut [Lane],
        stride: usize,
        rows: [Row<'_>; 4],
        left: usize,
        line: &mut [Lane],
    ) {
        let tiles = (line.len() - 2) / 2;
        for vertical in 0..4 {
            match vertical {
                0 => combine(line, left, (rows[0], rows[2]), |a, b| a - b),
                1 => combine(line, left, (rows[1], rows[2]), |a, b| a + b),
                2 => combine(line, left, (rows[2], rows[1]), |a, b| a - b),
                _ => combine(line, left, (rows[1], rows[3]), |a, b| a - b),
            }
            let out = &mut out[4 * vertical * stride..];
            let (m0, rest) = out.split_at_mut(stride);
            let (m1, rest) = rest.split_at_mut(stride);
            let (m2, m3) = rest.split_at_mut(stride);
            let line = &line[..2 * tiles + 2];
            for i in 0..tiles {
                one_pixel();
                let d = |j: usize| line[2 * i + j];
                m0[i] = d(0) - d(2);
                m1[i] = d(1) + d(2);
                m2[i] = d(2) - d(1);
                m3[i] = d(1) - d(3);
            }
        }
    }

    /// Two rows of pixels, or the one that is left, from the products of a row of tiles; the last tile may have one column.
    pub(in super::super) fn output(
        rows: &mut [Lane],
        width: usize,
        products: &[Lane],
        stride: usize,
    ) {
        let (first, second) = rows.split_at_mut(width);
        let kinds: [&[Lane]; KINDS] = std::array::from_fn(|kind| &products[kind * stride..]);
        let mut second = second.chunks_mut(2);
        for (i, first) in first.chunks_mut(2).enumerate() {
            one_pixel();
            let m = |v: usize, h: usize| kinds[4 * v + h][i];
            let top = |h| m(0, h) + m(1, h) + m(2, h);
            pair(first, std::array::from_fn(top));
            if let Some(second) = second.next() {
                let bottom = |h| m(1, h) - m(2, h) - m(3, h);
                pair(second, std::array::from_fn(bottom));
            }
        }
    }

    /// The kinds of a row of tiles from the gradient of its two rows of pixels: the adjoint of [`output`].
    pub(in super::super) fn gradient(
        out: &mut [Lane],
        stride: usize,
        rows: [Row<'_>; 2],
        tiles: usize,
    ) {
        for i in 0..tiles {
            one_pixel();
            let line = |row: Row<'_>| {
                let at = |column: usize| row.and_then(|row| row.get(column)).copied();
                let (a, b) = (at(2 * i).unwrap_or(Lane::ZERO), at(2 * i + 1).unwrap_or(Lane::ZERO));
                [a, a + b, a - b, -b]
            };
            let (first, second) = (line(rows[0]), line(rows[1]));
            for h in 0..4 {
                let (a, b) = (first[h], second[h]);
                out[h * stride + i] = a;
                out[(4 + h) * stride + i] = a + b;
                out[(8 + h) * stride + i] = a - b;
                out[(12 + h) * stride + i] = -b;
            }
        }
    }
}

/// Two outputs of four products, or the one that is left.
#[inline(always)]
fn pair(out: &mut [Lane], m: [Lane; 4]) {
    out[0] = m[0] + m[1] + m[2];
    if let Some(out) = out.get_mut(1) {
        *out = m[1] - m[2] - m[3];
    }
}
