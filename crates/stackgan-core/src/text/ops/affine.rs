//! Products with weights in which a row does not depend on the others.

use candle_core::{Result, Tensor};

/// Returns `x Wᵀ + b` for `x (rows, in)`, `weight (out, in)` and `bias (out)`.
pub(in super::super) fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.matmul(&upright(weight)?)?.broadcast_add(bias)
}

/// Returns the transpose of a matrix in contiguous memory.
///
/// With a transposed view, small products would use another code path that sums in another order,
/// and a caption's vector would depend on its neighbours.
pub(super) fn upright(weight: &Tensor) -> Result<Tensor> {
    weight.t()?.contiguous()
}
