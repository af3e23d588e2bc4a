//! Activations of plain tensors.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::activation::select;
use crate::vectorised::vectorised;
use crate::{Activation, fast, reference};

/// Applies the activation to every element of `x`, which may have any shape.
///
/// # Errors
/// Errors of candle.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(x.clone()),
        _ if fast::applies(&[x]) => x.contiguous()?.apply_op1(Op(activation)),
        _ => reference::activate(x, activation),
    }
}

struct Op(Activation);

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = fast::values(storage, layout)?;
        Ok((CpuStorage::F32(selected(x, x, self.0.slope())), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let values = fast::locked(&x_storage, x_layout)?;
        let dx = selected(values, fast::locked(&grad_storage, grad_layout)?, self.0.slope());
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
}

/// Number of elements per parallel task.
const CHUNK: usize = 1 << 14;

fn selected(x: &[f32], values: &[f32], slope: f32) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    (out.par_chunks_mut(CHUNK), x.par_chunks(CHUNK), values.par_chunks(CHUNK))
        .into_par_iter()
        .for_each(|(out, x, values)| select_all(out, x, values, slope));
    out
}

vectorised! {
    fn select_all(out: &mut [f32], x: &[f32], values: &[f32], slope: f32) {
        for ((out, x), v) in out.iter_mut().zip(x).zip(values) {
            *out = select(*x, *v, slope);
        }
    }
}
