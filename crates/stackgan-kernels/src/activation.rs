//! Activations, with the derivatives of `torch` at 0.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::vectorised::vectorised;
use crate::{fast, reference};

/// The activation that follows a layer.
///
/// The derivative at 0 is that of `torch`: 0 for `Relu`, and the slope for `LeakyRelu`. (candle
/// 0.11.1 uses 1 for relu and the mean of both slopes for leaky relu.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// The identity, `x`.
    Identity,
    /// `x` if positive, otherwise 0.
    Relu,
    /// `x` if positive, otherwise this slope times `x`.
    LeakyRelu(f32),
}

impl Activation {
    /// Returns the factor for values that are not positive.
    #[inline(always)]
    pub(crate) fn slope(self) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => 0.0,
            Self::LeakyRelu(slope) => slope,
        }
    }
}

/// Returns `slope * v` if `x <= 0`, otherwise `v`, so NaN is preserved. A slope of 0 gives 0 for
/// every `v`.
#[inline(always)]
pub(crate) fn select(x: f32, v: f32, slope: f32) -> f32 {
    let low = if slope == 0.0 { 0.0 } else { slope * v };
    if x <= 0.0 { low } else { v }
}

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
