//! The image side of the joint embedding: a small convolutional network on 64x64 pictures.
//!
//! Differs from the release, whose image side was 1024 features of a `GoogLeNet` trained on `ImageNet`: none is at hand
//! offline, and drawn birds do not need one.

use candle_core::Tensor;
use stackgan_core::gan::Mode;
use stackgan_core::layers::{ConvNorm, LEAKY, Linear, RunningVariance, Style, Window};
use stackgan_core::params::{Init, Scope};

use crate::Result;

/// Side of its pictures in pixels.
pub const SIDE: usize = 64;

const STYLE: Style = Style {
    conv: Init::Uniform { bound: 0.05 },
    linear: Init::Uniform { bound: 0.08 },
    running_variance: RunningVariance::Unbiased,
};

/// The scale of the contrastive loss starts at 1 / 0.07 and is kept below 100.
const INITIAL_LOG_SCALE: f64 = 2.659_260_036_932_778;
const MAX_LOG_SCALE: f32 = 4.605_170_2;

/// Convolutions (4x4, stride 2) with batch norm and `LeakyReLU`, the mean over the map that is left, a linear layer.
#[derive(Clone, Debug)]
pub struct ImageEncoder {
    layers: Vec<ConvNorm>,
    proj: Linear,
    log_scale: Tensor,
}

impl ImageEncoder {
    /// Builds the network on the tensors of `scope`: `conv.0 …`, `proj`, and the contrastive loss's `log_scale`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn new(channels: &[usize], dim: usize, scope: &Scope) -> Result<Self> {
        let conv = scope.pp("conv");
        let mut width = 3;
        let mut layers = Vec::with_capacity(channels.len());
        for (i, &next) in channels.iter().enumerate() {
            layers.push(ConvNorm::new((width, next), Window::Halve, LEAKY, STYLE, (&conv, 2 * i))?);
            width = next;
        }
        let proj = Linear::new(width, dim, STYLE, scope.pp("proj"))?;
        let log_scale = scope.weight("log_scale", 1, Init::Constant(INITIAL_LOG_SCALE))?;
        Ok(Self { layers, proj, log_scale })
    }

    /// Vectors `(batch, dim)` of pictures `(batch, 3, 64, 64)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut x = images.clone();
        for layer in &self.layers {
            x = layer.forward(&x, mode)?;
        }
        Ok(self.proj.forward(&x.flatten_from(2)?.mean(2)?)?)
    }

    /// The scale of the contrastive loss: one value.
    ///
    /// # Errors
    /// When the device fails.
    pub fn scale(&self) -> Result<Tensor> {
        Ok(self.log_scale.minimum(MAX_LOG_SCALE)?.exp()?)
    }
}
