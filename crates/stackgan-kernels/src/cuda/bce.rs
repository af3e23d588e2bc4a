//! Binary cross-entropy as a single operation.

use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::DevicePtr as _;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

use super::device::{self, Arg, Grid, LOSSES, at, int};

/// Returns the mean cross-entropy of `f32` logits `(N)` against one label.
pub(crate) fn bce_with_logits(logits: &Tensor, label: f64) -> Result<Tensor> {
    let logits = logits.contiguous()?;
    logits.apply_op1(Bce { logits: Arc::new(logits.detach()), label: label as f32 })
}

struct Bce {
    logits: Arc<Tensor>,
    label: f32,
}

impl CustomOp1 for Bce {
    fn name(&self) -> &'static str {
        "bce_with_logits"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("bce_with_logits: this form is for a GPU")
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (device, count) = (&storage.device, layout.shape().elem_count());
        // SAFETY: the kernel writes the value.
        let loss = unsafe { device.alloc::<f32>(1)? };
        let address = Arg::Address(loss.device_ptr(&device.cuda_stream()).0);
        let slice = storage.as_cuda_slice::<f32>()?;
        let from = slice.device_ptr(&device.cuda_stream()).0 + (layout.start_offset() * 4) as u64;
        let args = [Arg::Address(from), address, int(count)?, Arg::F32(self.label)];
        LOSSES.launch(
            device,
            "bce",
            Grid { blocks: (1, 1, 1), threads: (256, 1), shared: 0 },
            &args,
        )?;
        Ok((CudaStorage::wrap_cuda_slice(loss, device.clone()), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (device, count) = (device::of(logits)?, logits.elem_count());
        let out = device::empty(&device, logits.shape(), DType::F32)?;
        let args = [at(&self.logits)?, at(grad)?, at(&out)?, int(count)?, Arg::F32(self.label)];
        LOSSES.launch(&device, "bce_back", Grid::over(count), &args)?;
        Ok(Some(out))
    }
}
