//! Convolutions with the batch norm that follows folded into them: `w' = w gamma / sqrt(var + eps)`,
//! `b' = beta - mean gamma / sqrt(var + eps)`, computed once, in f64.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use stackgan_kernels::{Clamp, Filter, Maps};

use crate::{Error, Result};

/// The tensors of a published file by their names, for one network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    pub(super) tensors: &'a BTreeMap<String, Tensor>,
    /// Where the network works.
    pub(super) device: &'a Device,
    /// The network's name.
    pub(super) network: &'static str,
    /// Where its weights are to be had.
    pub(super) remedy: &'static str,
}

impl Weights<'_> {
    /// The tensor of this name, in f32 on the CPU.
    ///
    /// # Errors
    /// When there is none, or it has another shape.
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

/// What a layer is called in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    /// Before `.weight` of the convolution.
    pub(super) conv: &'a str,
    /// Before `.weight`, `.bias`, `.running_mean`, `.running_var` of the batch norm.
    pub(super) norm: &'a str,
}

/// How far the values of a layer may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rectifier {
    /// Anywhere.
    Linear,
    /// From 0 on.
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
    /// When a tensor lacks or has another shape.
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

    /// `(n, in, h, w)` to `(n, out, h', w')`, with the gradient of the maps; a depthwise filter's weight is `(channels, 1, kh, kw)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub(super) fn forward(&self, x: &Maps, filter: Filter) -> Result<Maps> {
        let (low, high) = self.rectifier.bounds();
        Ok(x.conv_clamp(&self.weight, filter, Clamp { bias: &self.bias, low, high })?)
    }
}
