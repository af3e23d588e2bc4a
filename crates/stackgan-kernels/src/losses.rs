//! Losses that are one operation on a GPU.

use candle_core::{Result, Tensor};

use crate::reference;

/// Binary cross-entropy of logits `(N)` against one label (0 or 1) for all, averaged; a scalar.
///
/// # Errors
/// When the device fails.
pub fn bce_with_logits(logits: &Tensor, label: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() && logits.dtype() == candle_core::DType::F32 {
        return crate::cuda::bce_with_logits(logits, label);
    }
    reference::bce_with_logits(logits, label)
}
