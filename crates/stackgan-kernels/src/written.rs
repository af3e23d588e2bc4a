//! Buffers that all threads fill in parallel, without one thread zeroing the memory first.
#![allow(unsafe_code, reason = "memory that is written before it is read, by all threads")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Returns `length` values made in chunks of `chunk` by `f(index of the chunk, chunk)`.
///
/// Each chunk is filled with zeros before `f` is called.
pub(crate) fn written(
    length: usize,
    chunk: usize,
    f: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    values.spare_capacity_mut()[..length].par_chunks_mut(chunk.max(1)).enumerate().for_each(
        |(i, chunk)| {
            chunk.fill(MaybeUninit::new(0.));
            // SAFETY: every value of the chunk has just been written, and only this thread accesses
            // it.
            let chunk =
                unsafe { std::slice::from_raw_parts_mut(chunk.as_mut_ptr().cast(), chunk.len()) };
            f(i, chunk);
        },
    );
    // SAFETY: the chunks cover the first `length` values, and all of them have been written.
    unsafe { values.set_len(length) };
    values
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_value_is_a_zero_or_what_was_written() {
        for (length, chunk) in [(0, 4), (10, 3), (64, 64), (5, 100)] {
            let values = super::written(length, chunk, |i, chunk| chunk[0] = i as f32 + 1.);
            for (at, value) in values.iter().enumerate() {
                let expected = if at % chunk == 0 { (at / chunk) as f32 + 1. } else { 0. };
                assert_eq!(*value, expected, "{length} {chunk}: {at}");
            }
        }
    }
}
