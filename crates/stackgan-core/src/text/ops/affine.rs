//! Fully connected layers over the steps of a sequence.

use candle_core::{Result, Tensor};
use stackgan_kernels::product;

/// Returns `x Wᵀ + b` for `x (rows, in)`, `weight (out, in)` and `bias (out)`.
///
/// Unlike [`stackgan_kernels::linear()`], it is made for many rows, with and without gradients.
pub(in super::super) fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    product(x, &weight.t()?)?.broadcast_add(bias)
}
