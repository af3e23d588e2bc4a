//! Fully connected layers.

use candle_core::{Result, Tensor, bail};

use crate::reference;

/// `x Wᵀ + b`: `x (N, in)`, `weight (out, in)`, `bias (out)`, result `(N, out)`.
///
/// candle's matrix product is good, so this has no fast form of its own.
///
/// # Errors
/// Wrong ranks or sizes, with the shapes.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let fits = match (x.dims(), weight.dims()) {
        ([_, a], [out, b]) => a == b && bias.is_none_or(|bias| bias.dims() == [*out]),
        _ => false,
    };
    if !fits {
        bail!(
            "linear: input {:?} does not fit weight {:?} and bias {:?}",
            x.dims(),
            weight.dims(),
            bias.map(Tensor::dims)
        );
    }
    reference::linear(x, weight, bias)
}
