//! The sums around the products of a convolution: of pixels before them, of products after them,
//! and of weights.
//!
//! Each module implements one way to need fewer products. The functions work on a row of tiles of
//! one block of channels.
#![allow(
    clippy::needless_range_loop,
    clippy::redundant_closure,
    reason = "iterators over arrays and functions as arguments are compiled on their own, for any CPU, and called"
)]

pub(super) mod four;
pub(super) mod halve;
pub(super) mod two;
pub(super) mod up;

use crate::cpu::lane::{LANES, Lane, one_pixel};

/// A row of pixels, or `None` for a row of zeros.
pub(super) type Row<'a> = Option<&'a [Lane]>;

/// A transform of the N values at one position of a lane, which calls `put(number, value)`.
///
/// This is a trait because a closure would not always be inlined, and would then be compiled for
/// the baseline CPU. Values are put as soon as they are known, so that few are held at a time.
trait Places<const N: usize> {
    fn of(values: [f32; N], put: impl FnMut(usize, f32));
}

/// Applies `P` to every position of a lane and writes its M values `STEP` lanes apart.
///
/// The loop over the positions contains nothing else, so that the compiler turns it into whole
/// vectors.
///
/// # Panics
/// If there are too few lanes, which is a bug in this crate.
#[inline(always)]
fn by_places<P: Places<N>, const N: usize, const M: usize, const STEP: usize>(
    x: &[Lane],
    out: &mut [Lane],
) {
    let Some(x) = x.first_chunk::<N>() else { unreachable!("{} lanes rather than {N}", x.len()) };
    let out = &mut out[..(M - 1) * STEP + 1];
    for l in 0..LANES {
        let mut values = [0.; N];
        for (value, lane) in values.iter_mut().zip(x) {
            *value = lane.0[l];
        }
        P::of(values, |m, value| out[m * STEP].0[l] = value);
    }
}

/// Applies `of` along both axes of 3x3 values, first along the rows. The K values of a line become
/// `K * vertical + horizontal`.
#[inline(always)]
fn of_both<const K: usize>(
    x: [f32; 9],
    mut put: impl FnMut(usize, f32),
    of: impl Fn([f32; 3]) -> [f32; K],
) {
    let (a, b, c) = (of([x[0], x[1], x[2]]), of([x[3], x[4], x[5]]), of([x[6], x[7], x[8]]));
    for h in 0..K {
        let column = of([a[h], b[h], c[h]]);
        for v in 0..K {
            put(K * v + h, column[v]);
        }
    }
}

/// The inverse mapping of [`of_both`]: K x K values become 3x3.
#[inline(always)]
fn to_both<const K: usize, const ALL: usize>(
    x: [f32; ALL],
    mut put: impl FnMut(usize, f32),
    of: impl Fn([f32; K]) -> [f32; 3],
) {
    let mut rows = [[0.; 3]; K];
    for v in 0..K {
        let mut row = [0.; K];
        row.copy_from_slice(&x[K * v..K * (v + 1)]);
        rows[v] = of(row);
    }
    for h in 0..3 {
        let mut column = [0.; K];
        for v in 0..K {
            column[v] = rows[v][h];
        }
        let taps = of(column);
        for v in 0..3 {
            put(3 * v + h, taps[v]);
        }
    }
}

/// A transform of N values in a line to M values.
///
/// This is a trait because a closure would not always be inlined, and would then be compiled for
/// the baseline CPU.
trait Along<const N: usize, const M: usize> {
    fn of(values: [Lane; N]) -> [Lane; M];
}

/// The pixels of a line that tiles read. A line has zeros around its pixels.
#[derive(Clone, Copy)]
struct Reads {
    /// Number of zeros before the first pixel. After the last there are as many as needed.
    left: usize,
    /// First pixel of the first tile, counting the zeros.
    first: usize,
    /// Distance from one pixel of a tile to the next.
    step: usize,
    /// Distance from one tile to the next.
    side: usize,
}

impl Reads {
    /// Returns adjacent pixels, from the first zero on.
    const fn neighbours(left: usize, side: usize) -> Self {
        Self { left, first: 0, step: 1, side }
    }

    /// Returns the column of a tile's pixel in a row of `width` pixels, or `None` if it is outside.
    #[inline(always)]
    fn column(&self, tile: usize, pixel: usize, width: usize) -> Option<usize> {
        let column = (self.side * tile + self.first + self.step * pixel).checked_sub(self.left)?;
        (column < width).then_some(column)
    }
}

/// Applies `A` to the pixels of a row of tiles, first along the columns, then along the rows.
///
/// Results are ordered `M * vertical + horizontal`, `stride` apart. Tiles read N pixels along each
/// axis. `line` has a line for each vertical result.
#[inline(always)]
fn from_tiles<A: Along<N, M>, const N: usize, const M: usize>(
    (out, stride): (&mut [Lane], usize),
    rows: [Row<'_>; N],
    reads: Reads,
    line: &mut [Lane],
) {
    let Reads { left, first, step, side } = reads;
    let length = line.len() / M;
    let reach = (N - 1) * step + 1;
    let tiles = (length - first - reach) / side + 1;
    let width = rows.into_iter().flatten().next().map_or(0, <[Lane]>::len).min(length - left);
    for line in line.chunks_exact_mut(length) {
        line[..left].fill(Lane::ZERO);
        line[left + width..].fill(Lane::ZERO);
    }
    for i in 0..width {
        one_pixel();
        let mut column = [Lane::ZERO; N];
        for (value, row) in column.iter_mut().zip(&rows) {
            if let Some(row) = row {
                *value = row[i];
            }
        }
        let column = A::of(column);
        for v in 0..M {
            line[v * length + left + i] = column[v];
        }
    }
    for (v, line) in line.chunks_exact(length).enumerate() {
        for i in 0..tiles {
            one_pixel();
            let from = &line[side * i + first..][..reach];
            let mut row = [Lane::ZERO; N];
            for j in 0..N {
                row[j] = from[step * j];
            }
            let row = A::of(row);
            for h in 0..M {
                out[(M * v + h) * stride + i] = row[h];
            }
        }
    }
}

/// Adds to a plane the contributions of the sums of a row of tiles to its pixels.
///
/// This is the adjoint of [`from_tiles`] if `A` is the adjoint of the transform used there. Tiles
/// read N rows from `top` on, as far apart as the pixels.
#[inline(always)]
fn add_tiles<A: Along<M, N>, const N: usize, const M: usize>(
    (plane, width): (&mut [Lane], usize),
    (top, tiles): (isize, usize),
    reads: Reads,
    (sums, stride): (&[Lane], usize),
) {
    let height = plane.len() / width;
    for i in 0..tiles {
        one_pixel();
        let mut columns = [[Lane::ZERO; N]; M];
        for h in 0..M {
            let mut column = [Lane::ZERO; M];
            for v in 0..M {
                column[v] = sums[(M * v + h) * stride + i];
            }
            columns[h] = A::of(column);
        }
        for r in 0..N {
            let row = top + (reads.step * r) as isize;
            let Some(row) = usize::try_from(row).ok().filter(|row| *row < height) else { continue };
            let mut values = [Lane::ZERO; M];
            for h in 0..M {
                values[h] = columns[h][r];
            }
            let values = A::of(values);
            let plane = &mut plane[row * width..][..width];
            for j in 0..N {
                if let Some(column) = reads.column(i, j, width) {
                    plane[column] += values[j];
                }
            }
        }
    }
}

/// Writes S rows of pixels, or as many as are left, from the products of a row of tiles.
///
/// There are K products along each axis, `stride` apart. The last tile may have fewer columns.
#[inline(always)]
fn to_tiles<A: Along<K, S>, const K: usize, const S: usize>(
    rows: &mut [Lane],
    width: usize,
    (products, stride): (&[Lane], usize),
) {
    let tiles = width.div_ceil(S);
    let mut kinds = [[&products[..0]; K]; K];
    for (v, kinds) in kinds.iter_mut().enumerate() {
        for (h, kind) in kinds.iter_mut().enumerate() {
            *kind = &products[(K * v + h) * stride..][..tiles];
        }
    }
    for i in 0..tiles {
        one_pixel();
        let mut columns = [[Lane::ZERO; S]; K];
        for h in 0..K {
            let mut column = [Lane::ZERO; K];
            for v in 0..K {
                column[v] = kinds[v][h][i];
            }
            columns[h] = A::of(column);
        }
        for (r, out) in rows.chunks_exact_mut(width).take(S).enumerate() {
            let mut row = [Lane::ZERO; K];
            for h in 0..K {
                row[h] = columns[h][r];
            }
            let row = A::of(row);
            let out = &mut out[S * i..];
            if let Some(out) = out.first_chunk_mut() {
                *out = row;
            } else {
                out.iter_mut().zip(row).for_each(|(out, value)| *out = value);
            }
        }
    }
}
