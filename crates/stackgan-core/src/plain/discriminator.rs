//! Discriminators of the plain recipe. Source: `code/model.py`, `STAGE1_D`, `STAGE2_D`,
//! `D_GET_LOGITS`.
//!
//! Features are computed once per picture and judged by one or two heads: one with the text (`mu`
//! of the generator's conditioning augmentation), and in Stage-II also one without.

use candle_core::{Result, Tensor};
use stackgan_kernels::{Maps, repeat_each};

use super::STYLE;
use crate::generator::Mode;
use crate::layers::{Conv, ConvNorm, LEAKY, Window, of_each};
use crate::params::{Init, Scope};
use crate::picture_encoder::PictureEncoder;
use crate::{NetConfig, Recipe};

/// A discriminator of either stage.
#[derive(Clone, Debug)]
pub struct Discriminator {
    encode_img: PictureEncoder,
    joint: ConvNorm,
    conditional: Logit,
    unconditional: Option<Logit>,
}

impl Discriminator {
    /// Builds a discriminator for 64x64 pictures, which has only the conditional head.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, or a size out of its range.
    pub fn stage1(cfg: &NetConfig, scope: &Scope) -> Result<Self> {
        cfg.check_of(Recipe::Plain)?;
        let (n, img) = (cfg.df, scope.pp("encode_img"));
        let halve = |a, b, index| ConvNorm::new((a, b), Window::Halve, LEAKY, STYLE, (&img, index));
        let layers = vec![
            halve(n, 2 * n, 2)?,     // 16x16
            halve(2 * n, 4 * n, 5)?, // 8x8
            halve(4 * n, 8 * n, 8)?, // 4x4
        ];
        Self::new(cfg, PictureEncoder::new(64, n, layers, STYLE, &img)?, None, scope)
    }

    /// Builds a discriminator for 256x256 pictures, which has both heads.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, or a size out of its range.
    pub fn stage2(cfg: &NetConfig, scope: &Scope) -> Result<Self> {
        cfg.check_of(Recipe::Plain)?;
        let (n, img) = (cfg.df, scope.pp("encode_img"));
        let layer =
            |a, b, window, index| ConvNorm::new((a, b), window, LEAKY, STYLE, (&img, index));
        let layers = vec![
            layer(n, 2 * n, Window::Halve, 2)?,        // 64x64
            layer(2 * n, 4 * n, Window::Halve, 5)?,    // 32x32
            layer(4 * n, 8 * n, Window::Halve, 8)?,    // 16x16
            layer(8 * n, 16 * n, Window::Halve, 11)?,  // 8x8
            layer(16 * n, 32 * n, Window::Halve, 14)?, // 4x4
            layer(32 * n, 16 * n, Window::Three, 17)?,
            layer(16 * n, 8 * n, Window::Three, 20)?,
        ];
        let unconditional = Logit::new(8 * n, scope.pp("get_uncond_logits.outlogits.0"))?;
        let encode_img = PictureEncoder::new(256, n, layers, STYLE, &img)?;
        Self::new(cfg, encode_img, Some(unconditional), scope)
    }

    fn new(
        cfg: &NetConfig,
        encode_img: PictureEncoder,
        unconditional: Option<Logit>,
        scope: &Scope,
    ) -> Result<Self> {
        let (n, outlogits) = (cfg.df, scope.pp("get_cond_logits.outlogits"));
        let joint = (8 * n + cfg.cond_dim, 8 * n);
        Ok(Self {
            encode_img,
            joint: ConvNorm::new(joint, Window::Three, LEAKY, STYLE, (&outlogits, 0))?,
            conditional: Logit::new(8 * n, outlogits.pp(3))?,
            unconditional,
        })
    }

    /// Returns features `(batch, 8 df, 4, 4)` of pictures.
    ///
    /// Their gradient cannot be differentiated again: see [`stackgan_kernels::backward`].
    ///
    /// # Errors
    /// Shapes that do not match, including pictures of the other stage's size.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        self.encode_img.forward(images, mode.into())?.leave()
    }

    /// Returns the features of several batches of pictures, each as [`Self::features`] in
    /// [`Mode::Train`].
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn features_of<const N: usize>(&self, images: [&Tensor; N]) -> Result<[Tensor; N]> {
        of_each(images, |images, by| self.encode_img.forward(images, by)?.leave())
    }

    /// Returns logits `(batch,)` for features with the text code `mu` `(batch, cond_dim)`.
    ///
    /// Differs from the release: no sigmoid here, the losses take logits. A sigmoid saturates in
    /// f32: its gradient is then 0.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn conditional_logits(&self, features: &Tensor, mu: &Tensor, mode: Mode) -> Result<Tensor> {
        let joined = Maps::enter(features)?.append_tiled(mu)?;
        self.conditional.forward(&self.joint.forward(&joined, mode)?)
    }

    /// Returns logits `(batch,)` for features without the text, or `None` in Stage-I.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn unconditional_logits(&self, features: &Tensor) -> Result<Option<Tensor>> {
        let maps = Maps::enter(features)?;
        self.unconditional.as_ref().map(|head| head.forward(&maps)).transpose()
    }
}

/// A 4x4 convolution with bias that returns one value.
#[derive(Clone, Debug)]
struct Logit {
    conv: Conv,
    bias: Tensor,
}

impl Logit {
    fn new(input: usize, scope: Scope) -> Result<Self> {
        // The release leaves this bias at PyTorch's default: uniform within 1/sqrt(fan in).
        let bound = 1.0 / ((input * 16) as f64).sqrt();
        let bias = scope.weight("bias", 1, Init::Uniform { bound })?;
        Ok(Self { conv: Conv::new(input, 1, Window::Four, STYLE, scope)?, bias })
    }

    fn forward(&self, x: &Maps) -> Result<Tensor> {
        let logits = self.conv.forward(x)?.leave()?.flatten_all()?;
        // A broadcast would have a gradient whose order of summation depends on the CPU.
        &logits + repeat_each(&self.bias, (1, logits.dims1()?))?.squeeze(0)?
    }
}
