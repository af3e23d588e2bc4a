//! The image side of the joint embedding: a linear layer on features of a pretrained network, or a
//! small convolutional network on 64x64 pictures that is trained together with the text encoder.

use candle_core::{Tensor, Var};
use stackgan_core::generator::Mode;
use stackgan_core::layers::{BatchNorm, ConvNorm, LEAKY, Linear, RunningVariance, Style, Window};
use stackgan_core::params::{Init, Scope};
use stackgan_core::text::losses::{contrastive, symmetric_joint_embedding};
use stackgan_kernels::{Activation, Maps, exp};

use super::{ImageSide, Loss};
use crate::Result;

/// Side of the pictures in pixels.
pub const SIDE: usize = 64;

const STYLE: Style = Style {
    conv: Init::Uniform { bound: 0.05 },
    linear: Init::Uniform { bound: 0.08 },
    running_variance: RunningVariance::Unbiased,
};

/// The scale of the contrastive loss is initialised to 1 / 0.07 and kept below 100.
const INITIAL_LOG_SCALE: f64 = 2.659_260_036_932_778;
const MAX_LOG_SCALE: f32 = 4.605_170_2;

/// The part before the linear layer.
#[derive(Clone, Debug)]
enum Body {
    /// Convolutions (4x4, stride 2) with batch norm and `LeakyReLU`, followed by the mean over the
    /// remaining map.
    Convolutions(Vec<ConvNorm>),
    /// Batch norm of the features, whose scales differ.
    Features(BatchNorm),
}

/// The image encoder: one of two bodies, then a linear layer with batch norm.
///
/// It also holds the other variables that the contrastive loss has to learn.
#[derive(Clone, Debug)]
pub(crate) struct ImageEncoder {
    body: Body,
    proj: Linear,
    norm: BatchNorm,
    log_scale: Tensor,
    text_mean: Var,
}

impl ImageEncoder {
    /// Builds the network on the tensors of `scope`: `conv.0 …` or `features`, `proj`, `norm`, and
    /// the contrastive loss's `log_scale` and `text_mean`.
    ///
    /// # Errors
    /// When a tensor is missing or of the wrong shape.
    pub(crate) fn new(side: &ImageSide, dim: usize, scope: &Scope) -> Result<Self> {
        let (body, width) = match side {
            ImageSide::Convolutions { channels } => {
                let conv = scope.pp("conv");
                let mut width = 3;
                let mut layers = Vec::with_capacity(channels.len());
                for (i, &next) in channels.iter().enumerate() {
                    let place = (&conv, 2 * i);
                    layers.push(ConvNorm::new((width, next), Window::Halve, LEAKY, STYLE, place)?);
                    width = next;
                }
                (Body::Convolutions(layers), width)
            }
            &ImageSide::Features { width, .. } => {
                let scope = scope.pp("features");
                let norm = BatchNorm::new(width, Activation::Identity, STYLE, scope)?;
                (Body::Features(norm), width)
            }
        };
        let proj = Linear::new(width, dim, STYLE, scope.pp("proj"))?;
        let log_scale = scope.weight("log_scale", 1, Init::Constant(INITIAL_LOG_SCALE))?;
        let norm = BatchNorm::new(dim, Activation::Identity, STYLE, scope.pp("norm"))?;
        let text_mean = scope.statistic("text_mean", dim, 0.0)?;
        Ok(Self { body, proj, norm, log_scale, text_mean })
    }

    /// Encodes pictures `(batch, 3, 64, 64)` in [-1, 1], or features `(batch, width)`, as vectors
    /// `(batch, dim)`.
    ///
    /// # Errors
    /// When shapes do not match.
    pub(crate) fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = match &self.body {
            Body::Features(norm) => norm.forward(images, mode)?,
            Body::Convolutions(layers) => {
                let mut x = Maps::enter(images)?;
                for layer in layers {
                    x = layer.forward(&x, mode)?;
                }
                x.leave()?.flatten_from(2)?.mean(2)?
            }
        };
        Ok(self.norm.forward(&self.proj.forward(&x)?, mode)?)
    }

    /// Prepares text vectors `(batch, dim)` for comparison by `loss`: for the contrastive loss,
    /// subtracts their common part.
    ///
    /// # Errors
    /// When widths differ.
    pub(crate) fn comparable(&self, loss: Loss, texts: &Tensor, mode: Mode) -> Result<Tensor> {
        match loss {
            Loss::JointEmbedding => Ok(texts.clone()),
            Loss::Contrastive => self.centre(texts, mode),
        }
    }

    /// Computes `loss` of pictures' vectors and [comparable](Self::comparable) vectors of their
    /// captions; both `(batch, dim)`.
    ///
    /// # Errors
    /// When shapes do not match.
    pub(crate) fn compare(&self, loss: Loss, images: &Tensor, texts: &Tensor) -> Result<Tensor> {
        Ok(match loss {
            Loss::JointEmbedding => symmetric_joint_embedding(images, texts)?,
            Loss::Contrastive => contrastive(images, texts, &self.scale()?)?,
        })
    }

    /// Subtracts the mean of the batch, or the running mean, from text vectors `(batch, dim)`.
    ///
    /// Captions have so similar letters that the vectors of a fresh encoder differ by little, and
    /// their cosines by almost nothing.
    ///
    /// # Errors
    /// When widths differ.
    fn centre(&self, texts: &Tensor, mode: Mode) -> Result<Tensor> {
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

    /// The scale of the contrastive loss, one value.
    ///
    /// # Errors
    /// When the device fails.
    fn scale(&self) -> Result<Tensor> {
        Ok(exp(&self.log_scale.minimum(MAX_LOG_SCALE)?)?)
    }
}
