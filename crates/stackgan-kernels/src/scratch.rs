//! Working memory of a thread, kept between calls: fresh pages from the system cost more than many a layer.

use std::cell::RefCell;

use crate::cpu::lane::{LANES, Lane, floats_mut};

thread_local! {
    /// Buffers that no call uses, one per depth of nesting.
    static BUFFERS: RefCell<Vec<Vec<Lane>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with slices of the given lengths. What is in them is left over from earlier calls.
///
/// Buffers only grow. A nested call gets memory of its own.
pub(crate) fn lanes<const N: usize, R>(
    lengths: [usize; N],
    f: impl FnOnce([&mut [Lane]; N]) -> R,
) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    let needed = lengths.iter().sum();
    if buffer.len() < needed {
        buffer = Vec::new(); // nothing is to be kept, so nothing is copied
        buffer.resize(needed, Lane::ZERO);
    }
    let mut rest = &mut buffer[..];
    let slices = lengths.map(|n| {
        let (slice, tail) = std::mem::take(&mut rest).split_at_mut(n);
        rest = tail;
        slice
    });
    let result = f(slices);
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}

/// [`lanes`] as values; every slice starts on a cache line.
pub(crate) fn with<const N: usize, R>(
    lengths: [usize; N],
    f: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    lanes(lengths.map(|n| n.div_ceil(LANES)), |slices| {
        let mut slices = slices.map(floats_mut);
        for (slice, n) in slices.iter_mut().zip(lengths) {
            *slice = &mut std::mem::take(slice)[..n];
        }
        f(slices)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn slices_are_aligned_disjoint_and_as_long_as_asked() {
        for _ in 0..2 {
            super::with([3, 0, 17, 40], |slices| {
                assert_eq!(slices.each_ref().map(|s| s.len()), [3, 0, 17, 40]);
                for (i, slice) in slices.into_iter().enumerate() {
                    assert_eq!(slice.as_ptr().align_offset(64), 0);
                    slice.fill(i as f32);
                }
                super::with([5], |[inner]| inner.fill(9.0));
            });
        }
    }
}
