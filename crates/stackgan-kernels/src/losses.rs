//! Losses that are a single operation on a GPU.

use candle_core::{Result, Tensor};

use crate::reference;

/// Returns the mean binary cross-entropy of logits `(N)` against one label (0 or 1), a scalar.
///
/// # Errors
/// A failure of the device.
pub fn bce_with_logits(logits: &Tensor, label: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() && logits.dtype() == candle_core::DType::F32 {
        return crate::cuda::bce_with_logits(logits, label);
    }
    reference::bce_with_logits(logits, label)
}
