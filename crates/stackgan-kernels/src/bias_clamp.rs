//! Bias and rectifier of a convolution whose batch norm was folded into it, in one pass.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::geometry::planes;
use crate::vectorised::vectorised;
use crate::{fast, reference};

/// `x (N, C, H, W)` plus `bias (C)`, kept within `low..=high`: `0, 6` is `ReLU6`, `0, inf` is `ReLU`. The fast form has no
/// gradient. A NaN stays a NaN.
///
/// # Errors
/// Wrong ranks or sizes, with the shapes; bounds that are no numbers, or in the wrong order.
pub fn bias_clamp(x: &Tensor, bias: &Tensor, low: f32, high: f32) -> Result<Tensor> {
    let (_, channels, _, _) = planes(x, "bias_clamp")?;
    if bias.dims() != [channels] {
        bail!("bias_clamp: input {:?} has {channels} channels, bias {:?}", x.dims(), bias.dims());
    }
    if low > high || low.is_nan() || high.is_nan() {
        bail!("bias_clamp: expected bounds in their order, found {low} and {high}");
    }
    if fast::applies(&[x, bias]) {
        x.contiguous()?.apply_op2_no_bwd(&bias.contiguous()?, &Op { low, high })
    } else {
        reference::bias_clamp(x, bias, low, high)
    }
}

struct Op {
    low: f32,
    high: f32,
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "bias_clamp"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (values, bias) = (fast::values(x, x_layout)?, fast::values(bias, bias_layout)?);
        let plane = x_layout.dims()[2..].iter().product::<usize>();
        let mut y = vec![0.; values.len()];
        y.par_chunks_mut(plane)
            .zip(values.par_chunks(plane))
            .enumerate()
            .for_each(|(i, (y, x))| clamp_plane(y, x, bias[i % bias.len()], (self.low, self.high)));
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }
}

vectorised! {
    fn clamp_plane(y: &mut [f32], x: &[f32], bias: f32, bounds: (f32, f32)) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = (x + bias).clamp(bounds.0, bounds.1);
        }
    }
}
