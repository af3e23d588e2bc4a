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
