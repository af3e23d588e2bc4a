//! Binary cross-entropy as a single operation.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

use super::device::{self, Arg, Grid, LOSSES, at, f32_at, f32_in, int, output};

/// Returns the mean cross-entropy of `f32` logits `(N)` against one label.
pub(crate) fn bce_with_logits(logits: &Tensor, label: f64) -> Result<Tensor> {
    let logits = logits.contiguous()?;
    logits.apply_op1(Bce { label: label as f32 })
}

struct Bce {
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
        let (device, count) = (&storage.device, int(layout.shape().elem_count())?);
        let (loss, to) = output(device, 1)?;
        let args = [f32_in(storage, layout)?, to, count, Arg::F32(self.label)];
        let grid = Grid { blocks: (1, 1, 1), threads: (256, 1), shared: 0 };
        LOSSES.launch(device, "bce", grid, &args)?;
        Ok((loss, Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (device, count) = (device::of(logits)?, logits.elem_count());
        let out = device::empty(&device, logits.shape(), DType::F32)?;
        let label = Arg::F32(self.label);
        let args = [f32_at(logits)?, f32_at(grad)?, at(&out)?, int(count)?, label];
        LOSSES.launch(&device, "bce_back", Grid::over(count), &args)?;
        Ok(Some(out))
    }
}
