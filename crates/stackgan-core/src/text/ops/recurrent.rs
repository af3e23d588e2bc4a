//! Helpers shared by the two recurrences.
//!
//! As chains of tensor operations the recurrences would create some thousand small tensors forward
//! and backward, so each is a single operation. Their sequences are `(time, batch, ...)`, which
//! makes a step one block of memory.

use candle_core::{Result, bail};

/// Checks `x (time, batch, gates * units)`, `weight (gates * units, units)` and
/// `bias (gates * units)`. Returns time, batch and units.
pub(super) fn check(
    gates: usize,
    x: &[usize],
    weight: &[usize],
    bias: &[usize],
) -> Result<(usize, usize, usize)> {
    match (x, weight, bias) {
        (&[time, batch, a], &[b, units], &[c])
            if a == gates * units && b == a && c == a && time > 0 && a > 0 && batch > 0 =>
        {
            Ok((time, batch, units))
        }
        _ => bail!("recurrence: input {x:?} does not fit weight {weight:?} and bias {bias:?}"),
    }
}

/// Returns the column sums of rows of `width` values.
pub(super) fn column_sums(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0f32; width];
    for row in rows.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
    }
    sums
}
