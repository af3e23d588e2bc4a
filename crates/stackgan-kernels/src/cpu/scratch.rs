//! Working memory of a thread, kept between calls.
//!
//! Fresh pages from the system cost more time than many a layer.

use std::cell::RefCell;

use super::lane::Lane;

thread_local! {
    /// Buffers that are not in use, one per depth of nesting.
    static BUFFERS: RefCell<Vec<Vec<Lane>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with slices of the given lengths, which contain values left over from earlier calls.
///
/// Buffers only grow. A nested call gets separate memory.
pub(crate) fn lanes<const N: usize, R>(
    lengths: [usize; N],
    f: impl FnOnce([&mut [Lane]; N]) -> R,
) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    let needed = lengths.iter().sum();
    if buffer.len() < needed {
        buffer = Vec::new(); // the contents are not needed, so avoid copying them
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

#[cfg(test)]
mod tests {
    use super::{Lane, lanes};

    #[test]
    fn slices_are_disjoint_and_as_long_as_asked() {
        for _ in 0..2 {
            lanes([3, 0, 17, 40], |slices| {
                assert_eq!(slices.each_ref().map(|s| s.len()), [3, 0, 17, 40]);
                for (i, slice) in slices.into_iter().enumerate() {
                    slice.fill(Lane::splat(i as f32));
                    lanes([5], |[inner]| inner.fill(Lane::splat(9.)));
                    assert!(slice.iter().all(|lane| *lane == Lane::splat(i as f32)));
                }
            });
        }
    }
}
