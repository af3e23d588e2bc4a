//! The sums around the products of a convolution: of pixels before, of products after, and of weights.
//!
//! Each module is one way to need fewer products. Functions work on a row of tiles of one block of channels.

pub(super) mod four;
pub(super) mod halve;
pub(super) mod two;
pub(super) mod up;

use crate::cpu::lane::{LANES, Lane, one_pixel};

/// A row of pixels, or none: zeros.
pub(super) type Row<'a> = Option<&'a [Lane]>;

/// `out = f(x)` for every place of a lane; results are `STEP` lanes apart. One loop over the places, with nothing else in it, is what
/// the compiler makes whole vectors of; `f` is always inlined.
///
/// # Panics
/// When there are fewer lanes: a mistake in this crate.
#[inline(always)]
fn by_places<const N: usize, const M: usize, const STEP: usize>(
    x: &[Lane],
    out: &mut [Lane],
    f: impl Fn([f32; N]) -> [f32; M],
) {
    let Some(x) = x.first_chunk::<N>() else { unreachable!("{} lanes rather than {N}", x.len()) };
    let out = &mut out[..(M - 1) * STEP + 1];
    for l in 0..LANES {
        let values = f(std::array::from_fn(|i| x[i].0[l]));
        for m in 0..M {
            out[m * STEP].0[l] = values[m];
        }
    }
}

/// `line[left..] = f(a, b)` pixel by pixel, with zeros before and behind; pixels that the line has no place for are left out.
#[inline(always)]
fn combine(
    line: &mut [Lane],
    left: usize,
    (a, b): (Row<'_>, Row<'_>),
    f: impl Fn(Lane, Lane) -> Lane,
) {
    let end = line.len().min(left + a.or(b).map_or(0, <[Lane]>::len));
    line[..left].fill(Lane::ZERO);
    line[end..].fill(Lane::ZERO);
    let line = &mut line[left..end];
    match (a, b) {
        (Some(a), Some(b)) => {
            for (out, (a, b)) in line.iter_mut().zip(a.iter().zip(b)) {
                one_pixel();
                *out = f(*a, *b);
            }
        }
        (Some(a), None) => line.iter_mut().zip(a).for_each(|(out, a)| {
            one_pixel();
            *out = f(*a, Lane::ZERO);
        }),
        (None, Some(b)) => line.iter_mut().zip(b).for_each(|(out, b)| {
            one_pixel();
            *out = f(Lane::ZERO, *b);
        }),
        (None, None) => {}
    }
}

/// What `f` makes of the pixels of a row of tiles, first along the columns, then along the rows: `M * vertical + horizontal`, `stride`
/// apart. Tiles are `side` pixels apart and read N; there are `left` zeros before the pixels, and as many behind as are needed. `line`
/// has a line for each vertical result.
#[inline(always)]
fn along_both<const N: usize, const M: usize>(
    (out, stride): (&mut [Lane], usize),
    rows: [Row<'_>; N],
    (left, side): (usize, usize),
    line: &mut [Lane],
    f: impl Fn([Lane; N]) -> [Lane; M],
) {
    let length = line.len() / M;
    let tiles = (length + side - N) / side;
    let width = rows.into_iter().flatten().next().map_or(0, <[Lane]>::len).min(length - left);
    for line in line.chunks_exact_mut(length) {
        line[..left].fill(Lane::ZERO);
        line[left + width..].fill(Lane::ZERO);
    }
    for i in 0..width {
        one_pixel();
        let d = rows.map(|row| row.map_or(Lane::ZERO, |row| row[i]));
        for (v, value) in f(d).into_iter().enumerate() {
            line[v * length + left + i] = value;
        }
    }
    for (v, line) in line.chunks_exact(length).enumerate() {
        for i in 0..tiles {
            one_pixel();
            let d = std::array::from_fn(|j| line[side * i + j]);
            for (h, value) in f(d).into_iter().enumerate() {
                out[(M * v + h) * stride + i] = value;
            }
        }
    }
}

/// Four rows of pixels, or those that are left, from the products of a row of tiles, K along each axis, `stride` apart; the last tile may
/// have fewer columns.
#[inline(always)]
fn four_by_four<const K: usize>(
    rows: &mut [Lane],
    width: usize,
    (products, stride): (&[Lane], usize),
    f: impl Fn([Lane; K]) -> [Lane; 4],
) {
    for i in 0..width.div_ceil(4) {
        one_pixel();
        let mut columns = [[Lane::ZERO; 4]; K];
        for (h, column) in columns.iter_mut().enumerate() {
            *column = f(std::array::from_fn(|v| products[(K * v + h) * stride + i]));
        }
        for (r, row) in rows.chunks_exact_mut(width).enumerate() {
            let values = f(std::array::from_fn(|h| columns[h][r]));
            for (out, value) in row[4 * i..].iter_mut().zip(values) {
                *out = value;
            }
        }
    }
}
