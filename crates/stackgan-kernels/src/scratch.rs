//! Working memory of a thread, kept between calls: fresh pages from the system cost more than many a layer.

use std::cell::RefCell;

thread_local! {
    /// Buffers that no call uses, one per depth of nesting.
    static BUFFERS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Floats in a cache line; every slice starts on one.
const LINE: usize = 16;

/// Calls `f` with slices of the given lengths. What is in them is left over from earlier calls.
///
/// Buffers only grow. A nested call gets memory of its own.
pub(crate) fn with<const N: usize, R>(
    lengths: [usize; N],
    f: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    let needed = lengths.iter().map(|n| n.next_multiple_of(LINE)).sum::<usize>() + LINE;
    if buffer.len() < needed {
        buffer.resize(needed, 0.0);
    }
    let start = buffer.as_ptr().align_offset(4 * LINE).min(LINE);
    let mut rest = &mut buffer[start..];
    let slices = lengths.map(|n| {
        let (slice, tail) = std::mem::take(&mut rest).split_at_mut(n.next_multiple_of(LINE));
        rest = tail;
        &mut slice[..n]
    });
    let result = f(slices);
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
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
