//! Results that all threads write: memory is not filled by one thread first.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// `length` values in chunks of `chunk`, each made by `f(index of the chunk, the chunk)`; a chunk is full of zeros at first.
pub(crate) fn written(
    length: usize,
    chunk: usize,
    f: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    values.spare_capacity_mut()[..length].par_chunks_mut(chunk.max(1)).enumerate().for_each(
        |(i, chunk)| {
            chunk.fill(MaybeUninit::new(0.));
            // SAFETY: every value of the chunk has just been written, and it is this thread's alone.
            let chunk =
                unsafe { std::slice::from_raw_parts_mut(chunk.as_mut_ptr().cast(), chunk.len()) };
            f(i, chunk);
        },
    );
    // SAFETY: the chunks, which are all of the first `length` values, are written.
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
