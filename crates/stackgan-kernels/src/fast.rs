//! The condition for using the fast forms, and access to tensor values as slices.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};

/// Returns whether all tensors are `f32` on the CPU.
#[must_use]
pub fn applies(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|t| t.dtype() == DType::F32 && t.device().is_cpu())
}

/// Returns the values of a contiguous `f32` tensor on the CPU.
///
/// # Errors
/// A tensor of another element type or layout.
pub fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    let range = layout.contiguous_offsets();
    match range.and_then(|(start, end)| all.get(start..end)) {
        Some(values) => Ok(values),
        None => bail!("expected a contiguous tensor, found {layout:?}"),
    }
}

/// Returns the values of a contiguous `f32` tensor on the CPU, of which this is the storage, locked
/// for reading, and the layout.
///
/// # Errors
/// A tensor of another device, element type or layout.
pub fn locked<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => values(storage, layout),
        _ => bail!("expected a tensor on the CPU, found one on {:?}", storage.device()),
    }
}
