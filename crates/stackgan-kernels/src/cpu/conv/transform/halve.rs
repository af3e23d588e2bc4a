//! A 4x4 convolution of stride 2 and padding 1 on tiles of 2x2 outputs: 36 products instead of 64.
//!
//! Split by parity ("phases"), it is four 2x2 convolutions of stride 1 on images of half the size, which are summed; each is
//! done by Winograd's minimal filtering F(2x2, 2x2). Along an axis the odd pixels, `p_i = x_(2i-1)`, meet the taps `a = g_0`, `b = g_2`,
//! the even ones, `p_i = x_(2i)`, `a = g_1`, `b = g_3`; two outputs of three inputs:
//!
//! ```text
//! m_0 = (p_0 - p_1) a     m_1 = p_1 (a + b)     m_2 = (p_1 - p_2) b     y_0 = m_0 + m_1     y_1 = m_1 - m_2
//! ```
//!
//! Nothing is divided. A phase is numbered `2 * vertical + horizontal`, 0 for odd pixels.

use super::{Places, Row, by_places, combine};
use crate::cpu::lane::{Lane, one_pixel};
use crate::vectorised::vectorised;

/// Phases.
pub(in super::super) const PHASES: usize = 4;

/// Kinds of product of a phase, `3 * vertical + horizontal`.
pub(in super::super) const KINDS: usize = 9;

/// Factors `(phase, kind)` of 4x4 taps.
struct Factors;

impl Places<16> for Factors {
    #[inline(always)]
    fn of(g: [f32; 16], mut put: impl FnMut(usize, f32)) {
        for phase in 0..PHASES {
            let (v, h) = (phase / 2, phase % 2);
            let (a, b) = (g[4 * v + h], g[4 * v + h + 2]);
            let (c, d) = (g[4 * v + h + 8], g[4 * v + h + 10]);
            let (first, second) = ([a, a + b, b], [c, c + d, d]);
            for j in 0..3 {
                put(KINDS * phase + j, first[j]);
                put(KINDS * phase + 3 + j, first[j] + second[j]);
                put(KINDS * phase + 6 + j, second[j]);
            }
        }
    }
}

/// The adjoint of [`Factors`].
struct Folded;

impl Places<{ PHASES * KINDS }> for Folded {
    #[inline(always)]
    fn of(f: [f32; PHASES * KINDS], mut put: impl FnMut(usize, f32)) {
        for phase in 0..PHASES {
            let (v, h) = (phase / 2, phase % 2);
            for j in 0..2 {
                // Along the rows of factors first: those of tap a, or of tap b.
                let at = KINDS * phase + j;
                let (a, b, c) = (f[at] + f[at + 1], f[at + 3] + f[at + 4], f[at + 6] + f[at + 7]);
                put(4 * v + h + 2 * j, a + b);
                put(4 * v + h + 8 + 2 * j, b + c);
            }
        }
    }
}

/// Factors of 4x4 taps.
#[inline(always)]
pub(in super::super) fn factors<const STEP: usize>(taps: &[Lane], factors: &mut [Lane]) {
    by_places::<Factors, 16, { PHASES * KINDS }, STEP>(taps, factors);
}

/// Gradient of the taps from that of the factors.
#[inline(always)]
pub(in super::super) fn fold(factors: &[Lane], taps: &mut [Lane]) {
    by_places::<Folded, { PHASES * KINDS }, 16, 1>(factors, taps);
}

vectorised! {
    /// The kinds of a row of tiles for one phase, `stride` apart, from the phase's three rows of pixels.
    pub(in super::super) fn input(
        out: &mut [Lane],
        stride: usize,
        rows: [Row<'_>; 3],
        horizontal: usize,
        line: &mut [Lane],
    ) {
        let tiles = (line.len() - 2) / 4;
        for vertical in 0..3 {
            match vertical {
                0 => combine(line, 1, (rows[0], rows[1]), |a, b| a - b),
                1 => combine(line, 1, (rows[1], None), |x, _| x),
                _ => combine(line, 1, (rows[1], rows[2]), |a, b| a - b),
            }
            let out = &mut out[3 * vertical * stride..];
            let (m0, rest) = out.split_at_mut(stride);
            let (m1, m2) = rest.split_at_mut(stride);
            let line = &line[..4 * tiles + 2];
            for i in 0..tiles {
                one_pixel();
                let p = |j: usize| line[4 * i + 2 * j + horizontal];
                m0[i] = p(0) - p(1);
                m1[i] = p(1);
                m2[i] = p(1) - p(2);
            }
        }
    }

    /// Two rows of outputs from the products of a row of tiles.
    pub(in super::super) fn output(rows: &mut [Lane], products: &[Lane], stride: usize) {
        let (first, second) = rows.split_at_mut(rows.len() / 2);
        let kinds: [&[Lane]; KINDS] = std::array::from_fn(|kind| &products[kind * stride..]);
        for (i, (first, second)) in
            first.chunks_exact_mut(2).zip(second.chunks_exact_mut(2)).enumerate()
        {
            let m = |v: usize, h: usize| kinds[3 * v + h][i];
            let top = [m(0, 0) + m(1, 0), m(0, 1) + m(1, 1), m(0, 2) + m(1, 2)];
            let bottom = [m(1, 0) - m(2, 0), m(1, 1) - m(2, 1), m(1, 2) - m(2, 2)];
            first[0] = top[0] + top[1];
            first[1] = top[1] - top[2];
            second[0] = bottom[0] + bottom[1];
            second[1] = bottom[1] - bottom[2];
        }
    }

    /// The kinds of a row of tiles from the gradient of its two rows of outputs: the adjoint of [`output`].
    pub(in super::super) fn gradient(out: &mut [Lane], stride: usize, rows: [&[Lane]; 2]) {
        for i in 0..rows[0].len() / 2 {
            one_pixel();
            let line = |row: &[Lane]| {
                let (a, b) = (row[2 * i], row[2 * i + 1]);
                [a, a + b, -b]
            };
            let (first, second) = (line(rows[0]), line(rows[1]));
            for h in 0..3 {
                let (a, b) = (first[h], second[h]);
                out[h * stride + i] = a;
                out[(3 + h) * stride + i] = a + b;
                out[(6 + h) * stride + i] = -b;
            }
        }
    }

    /// Adds to a row of pixels what the kinds of a phase give to its row number `target` (0 to 2): the adjoint of [`input`].
    pub(in super::super) fn scatter(
        row: &mut [Lane],
        kinds: &[Lane],
        stride: usize,
        target: usize,
        horizontal: usize,
    ) {
        let width = row.len();
        let kind = |v: usize, h: usize, i: usize| kinds[(3 * v + h) * stride + i];
        let mut previous = Lane::ZERO; // of the tile before, for the pixel that both read
        for i in 0..width / 4 {
            one_pixel();
            let mut m = [Lane::ZERO; 3];
            for (h, m) in m.iter_mut().enumerate() {
                *m = match target {
                    0 => kind(0, h, i),
                    1 => kind(1, h, i) - kind(0, h, i) + kind(2, h, i),
                    _ => -kind(2, h, i),
                };
            }
            let [m0, m1, m2] = m;
            let first = 4 * i + horizontal; // one to the right of the pixel
            if first > 0 {
                row[first - 1] += m0 - previous;
            }
            row[first + 1] += m1 - m0 + m2;
            previous = m2;
        }
        if horizontal == 0 {
            row[width - 1] += -previous;
        }
    }
}
