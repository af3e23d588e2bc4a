//! What the two recurrences share.
//!
//! As chains of tensor operations they would be some thousand small tensors forward and backward, so each is one
//! operation. Sequences are step-major there, `(time, batch, ...)`: a step is one block of memory.

use candle_core::{Device, Result, Tensor, bail};

/// A block of rows times a matrix.
pub(super) fn product(rows: &[f32], matrix: &Tensor) -> Result<Vec<f32>> {
    let width = matrix.dim(0)?;
    Tensor::from_slice(rows, (rows.len() / width, width), &Device::Cpu)?
        .matmul(matrix)?
        .flatten_all()?
        .to_vec1()
}

/// Checks `x (time, batch, gates * units)`, `weight (gates * units, units)`, `bias (gates * units)`; returns time, batch
/// and units.
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

/// Adds up rows of `width` values.
pub(super) fn column_sums(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0f32; width];
    for row in rows.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
    }
    sums
}
