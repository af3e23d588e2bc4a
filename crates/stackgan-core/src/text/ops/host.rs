//! The values of a tensor on the host.

use candle_core::{Result, Tensor};

/// Returns all values of a tensor, row-major.
pub(super) fn host(x: &Tensor) -> Result<Vec<f32>> {
    x.detach().flatten_all()?.to_vec1()
}
