//! Nearest up-sampling by two, then a 3x3 convolution: nine products for each small pixel.
//!
//! On an up-sampled line the taps a, b, c see only two different neighbours. With `d_i = x_i - x_(i-1)`:
//!
//! ```text
//! y_(2i)   = (a+b+c) x_i - a d_i          y_(2i+1) = (a+b+c) x_i + c d_(i+1)
//! ```
//!
//! so two outputs cost three products instead of six, and in two dimensions four outputs cost nine instead of 36. The
//! three kinds of product along an axis are S (a+b+c with x), A (-a with `d_i`) and C (c with `d_(i+1)`); a kind of the plane
//! is a pair of them, numbered `3 * vertical + horizontal`. Nothing is divided, so accuracy is that of the plain sum.
//!
//! Backward, the differences are moved to the side of `dy` (they commute with the mixing of channels): one transform of `dy`
//! into the nine kinds serves both gradients.

use super::{Row, by_places, combine};
use crate::cpu::lane::{Lane, one_pixel};
use crate::vectorised::vectorised;

/// Kinds of product.
pub(in super::super) const KINDS: usize = 9;

/// Factors of three taps in a line.
#[inline(always)]
fn of_taps(t: [f32; 3]) -> [f32; 3] {
    [t[0] + t[1] + t[2], -t[0], t[2]]
}

/// Gradient of three taps in a line from that of their factors.
#[inline(always)]
fn to_taps(f: [f32; 3]) -> [f32; 3] {
    [f[0] - f[1], f[0], f[0] + f[2]]
}

/// Along both axes of 3x3 values.
#[inline(always)]
fn along_both<const STEP: usize>(
    x: &[Lane],
    out: &mut [Lane],
    line: impl Fn([f32; 3]) -> [f32; 3],
) {
    by_places::<9, 9, STEP>(x, out, |x| {
        let (a, b, c) =
            (line([x[0], x[1], x[2]]), line([x[3], x[4], x[5]]), line([x[6], x[7], x[8]]));
        let mut out = [0.; 9];
        for h in 0..3 {
            let column = line([a[h], b[h], c[h]]);
            for v in 0..3 {
                out[3 * v + h] = column[v];
            }
        }
        out
    });
}

/// Factors of 3x3 taps.
#[inline(always)]
pub(in super::super) fn factors<const STEP: usize>(taps: &[Lane], factors: &mut [Lane]) {
    along_both::<STEP>(taps, factors, of_taps);
}

/// Gradient of the taps from that of the factors.
#[inline(always)]
pub(in super::super) fn fold(factors: &[Lane], taps: &mut [Lane]) {
    along_both::<1>(factors, taps, to_taps);
}

vectorised! {
    /// The kinds of a row of small pixels, `stride` apart, from the rows above, here and below.
    pub(in super::super) fn input(
        out: &mut [Lane],
        stride: usize,
        above: Row<'_>,
        here: Row<'_>,
        below: Row<'_>,
        line: &mut [Lane],
    ) {
        let width = line.len() - 2;
        for vertical in 0..3 {
            match vertical {
                0 => combine(line, 1, (here, None), |x, _| x),
                1 => combine(line, 1, (here, above), |x, above| x - above),
                _ => combine(line, 1, (below, here), |below, x| below - x),
            }
            let out = &mut out[3 * vertical * stride..];
            let (s, rest) = out.split_at_mut(stride);
            let (a, c) = rest.split_at_mut(stride);
            let line = &line[..width + 2];
            for (i, ((s, a), c)) in
                s[..width].iter_mut().zip(&mut a[..width]).zip(&mut c[..width]).enumerate()
            {
                one_pixel();
                let x = line[i + 1];
                *s = x;
                *a = x - line[i];
                *c = line[i + 2] - x;
            }
        }
    }

    /// Two rows of large pixels from the products of a row of small ones.
    pub(in super::super) fn output(rows: &mut [Lane], products: &[Lane], stride: usize) {
        let (even, odd) = rows.split_at_mut(rows.len() / 2);
        let kinds: [&[Lane]; KINDS] = std::array::from_fn(|kind| &products[kind * stride..]);
        for (i, (even, odd)) in even.chunks_exact_mut(2).zip(odd.chunks_exact_mut(2)).enumerate() {
            one_pixel();
            let m: [Lane; KINDS] = std::array::from_fn(|kind| kinds[kind][i]);
            let (top, bottom) = ([m[0] + m[3], m[1] + m[4], m[2] + m[5]], [m[0] + m[6], m[1] + m[7], m[2] + m[8]]);
            even[0] = top[0] + top[1];
            even[1] = top[0] + top[2];
            odd[0] = bottom[0] + bottom[1];
            odd[1] = bottom[0] + bottom[2];
        }
    }

    /// The kinds of a row of small pixels from rows of the large gradient: the odd one above, the two here, the even one below.
    pub(in super::super) fn gradient(
        out: &mut [Lane],
        stride: usize,
        above: Row<'_>,
        here: (Row<'_>, Row<'_>),
        below: Row<'_>,
        line: &mut [Lane],
    ) {
        let width = line.len() / 2 - 1;
        for vertical in 0..3 {
            match vertical {
                0 => combine(line, 1, (here.0, here.1), |even, odd| even + odd),
                1 => combine(line, 1, (here.0, below), |even, below| even - below),
                _ => combine(line, 1, (above, here.1), |above, odd| above - odd),
            }
            let out = &mut out[3 * vertical * stride..];
            let (s, rest) = out.split_at_mut(stride);
            let (a, c) = rest.split_at_mut(stride);
            let line = &line[..2 * width + 2];
            for (i, ((s, a), c)) in
                s[..width].iter_mut().zip(&mut a[..width]).zip(&mut c[..width]).enumerate()
            {
                one_pixel();
                let (even, odd) = (line[2 * i + 1], line[2 * i + 2]);
                *s = even + odd;
                *a = even - line[2 * i + 3];
                *c = line[2 * i] - odd;
            }
        }
    }
}
