//! The image side of the joint embedding: a small convolutional network on 64x64 pictures.
//!
//! Differs from the release, whose image side was 1024 features of a `GoogLeNet` trained on `ImageNet`: none is at hand
//! offline, and drawn birds do not need one.

use candle_core::{Tensor, Var};
use stackgan_core::gan::Mode;
use stackgan_core::layers::{BatchNorm, ConvNorm, LEAKY, Linear, RunningVariance, Style, Window};
use stackgan_core::params::{Init, Scope};
use stackgan_kernels::Activation;

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

/// Convolutions (4x4, stride 2) with batch norm and `LeakyReLU`, the mean over the map that is left, a linear layer with
/// batch norm. It also holds what else the contrastive loss has to learn.
#[derive(Clone, Debug)]
pub struct ImageEncoder {
    layers: Vec<ConvNorm>,
    proj: Linear,
    norm: BatchNorm,
    log_scale: Tensor,
    text_mean: Var,
}

impl ImageEncoder {
    /// Builds the network on the tensors of `scope`: `conv.0 …`, `proj`, `norm`, and the contrastive loss's `log_scale` and
    /// `text_mean`.
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
        let norm = BatchNorm::new(dim, Activation::Identity, STYLE, scope.pp("norm"))?;
        let text_mean = scope.statistic("text_mean", dim, 0.0)?;
        Ok(Self { layers, proj, norm, log_scale, text_mean })
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
        let x = self.proj.forward(&x.flatten_from(2)?.mean(2)?)?;
        Ok(self.norm.forward(&x, mode)?)
    }

    /// Text vectors `(batch, dim)` without what they have in common: the batch's mean, or the running one. Captions
    /// are so alike in their letters that fresh text vectors differ by little, and their cosines by next to nothing.
    ///
    /// # Errors
    /// When widths differ.
    pub fn centre(&self, texts: &Tensor, mode: Mode) -> Result<Tensor> {
        let running = self.text_mean.as_detached_tensor();
        Ok(match mode {
            Mode::Eval => texts.broadcast_sub(&running)?,
            Mode::Train => {
                let mean = texts.mean_keepdim(0)?;
                self.text_mean.set(&((running * 0.9)? + (mean.detach().squeeze(0)? * 0.1)?)?)?;
                texts.broadcast_sub(&mean)?
            }
        })
    }

    /// The scale of the contrastive loss: one value.
    ///
    /// # Errors
    /// When the device fails.
    pub fn scale(&self) -> Result<Tensor> {
        Ok(self.log_scale.minimum(MAX_LOG_SCALE)?.exp()?)
    }
}
