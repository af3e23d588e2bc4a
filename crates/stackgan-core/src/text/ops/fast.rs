//! Which tensors the fast forms process, and their numbers.

use candle_core::{CpuStorage, DType, Layout, Result, Tensor, bail};

/// Returns whether the fast forms can process this tensor.
pub(super) fn is_fast(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// Returns the values of an argument of a custom operation, which the caller made contiguous.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) if end <= all.len() => Ok(&all[start..end]),
        _ => bail!("the text encoder's operations need contiguous tensors"),
    }
}

/// Returns all values of a tensor, row-major.
pub(super) fn host(x: &Tensor) -> Result<Vec<f32>> {
    x.detach().flatten_all()?.to_vec1()
}
