//! Convolutions with the following batch norm folded into them: `w' = w gamma / sqrt(var + eps)`,
//! `b' = beta - mean gamma / sqrt(var + eps)`, computed once in f64.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use stackgan_kernels::{Clamp, Filter, Maps};

use crate::{Error, Result};

/// The tensors of a published file by name, for one network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    pub(super) tensors: &'a BTreeMap<String, Tensor>,
    /// The network's device.
    pub(super) device: &'a Device,
    /// The network's name.
    pub(super) network: &'static str,
    /// How to get its weights.
    pub(super) remedy: &'static str,
}

impl Weights<'_> {
    /// Returns the tensor with this name, in f32 on the CPU.
    ///
    /// # Errors
    /// [`Error::Weights`] if it is missing or has another shape.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let found = match self.tensors.get(name) {
            Some(tensor) if tensor.dims() == shape => {
                return Ok(tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?);
            }
            Some(tensor) => format!("{:?}", tensor.dims()),
            None => "no such tensor".to_owned(),
        };
        let expected = format!("`{name}` of shape {shape:?}");
        let Self { network, remedy, .. } = *self;
        Err(Error::Weights { network, expected, found, remedy })
    }
}

/// The names of a layer in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    /// Prefix of the convolution's `.weight`.
    pub(super) conv: &'a str,
    /// Prefix of the batch norm's `.weight`, `.bias`, `.running_mean` and `.running_var`.
    pub(super) norm: &'a str,
}

/// The range to which a layer clamps its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rectifier {
    /// No limits.
    Linear,
    /// At least 0.
    Relu,
    /// 0 to 6.
    Relu6,
}

impl Rectifier {
    const fn bounds(self) -> (f32, f32) {
        match self {
            Self::Linear => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// A convolution, its bias and its rectifier.
#[derive(Clone, Debug)]
pub(super) struct FoldedConv {
    weight: Tensor, // (out, in, kh, kw)
    bias: Tensor,   // (out)
    rectifier: Rectifier,
}

impl FoldedConv {
    /// Reads the convolution of `shape (out, in, kh, kw)` and its batch norm with this epsilon.
    ///
    /// # Errors
    /// [`Error::Weights`] if a tensor is missing or has another shape.
    pub(super) fn new(
        weights: Weights<'_>,
        names: Names<'_>,
        shape: [usize; 4],
        eps: f64,
        rectifier: Rectifier,
    ) -> Result<Self> {
        let out = shape[0];
        let weight = weights.get(&format!("{}.weight", names.conv), &shape)?;
        let of_norm = |part: &str| -> Result<Tensor> {
            let vector = weights.get(&format!("{}.{part}", names.norm), &[out])?;
            Ok(vector.to_dtype(DType::F64)?)
        };
        let scale = (of_norm("weight")? / (of_norm("running_var")? + eps)?.sqrt()?)?;
        let bias = (of_norm("bias")? - (of_norm("running_mean")? * &scale)?)?;
        let weight = weight.to_dtype(DType::F64)?.broadcast_mul(&scale.reshape((out, 1, 1, 1))?)?;
        let placed = |t: &Tensor| t.to_dtype(DType::F32)?.to_device(weights.device);
        Ok(Self { weight: placed(&weight)?, bias: placed(&bias)?, rectifier })
    }

    /// Maps `(n, in, h, w)` to `(n, out, h', w')`, with a gradient of the maps. The weight of a
    /// depthwise filter has shape `(channels, 1, kh, kw)`.
    ///
    /// # Errors
    /// If the shapes do not match.
    pub(super) fn forward(&self, x: &Maps, filter: Filter) -> Result<Maps> {
        let (low, high) = self.rectifier.bounds();
        Ok(x.conv_clamp(&self.weight, filter, Clamp { bias: &self.bias, low, high })?)
    }
}
