//! The sums around the products of a convolution: of pixels before, of products after, and of weights.
//!
//! Each module is one way to need fewer products. Functions work on a row of tiles of one block of channels.

pub(super) mod four;
pub(super) mod halve;
pub(super) mod two;
pub(super) mod up;

use crate::cpu::lane::{Lane, one_pixel};

/// A row of pixels, or none: zeros.
pub(super) type Row<'a> = Option<&'a [Lane]>;

/// `line[left..] = f(a, b)` pixel by pixel, with zeros before and behind.
#[inline(always)]
fn combine(
    line: &mut [Lane],
    left: usize,
    (a, b): (Row<'_>, Row<'_>),
    f: impl Fn(Lane, Lane) -> Lane,
) {
    let end = left + a.or(b).map_or(0, <[Lane]>::len);
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
