//! Discriminators of the residual recipe.
//!
//! Source: `stageI/model.py` `discriminator`, `stageII/model.py` `hr_discriminator`.
//!
//! Both stages encode the picture to 4x4 with `8 df` channels, apply a bottleneck, append a
//! separate embedding layer (trained with D), and return one logit. They differ only in the
//! encoder.

use candle_core::{Result, Tensor};
use stackgan_kernels::{Activation, Statistics, activate};

use super::{Bottleneck, STYLE};
use crate::generator::Mode;
use crate::layers::{Conv, ConvNorm, LEAKY, Linear, Window, of_each};
use crate::params::Scope;
use crate::picture_encoder::PictureEncoder;
use crate::{NetConfig, Recipe};

/// A discriminator of either stage, from picture and embedding to a logit.
#[derive(Clone, Debug)]
pub struct Discriminator {
    encode_img: PictureEncoder,
    residual: Bottleneck,
    text_net: Linear,
    joint: ConvNorm,
    logit: Conv,
}

impl Discriminator {
    /// Builds a discriminator for 64x64 pictures.
    ///
    /// The third and fourth convolutions have no activation. For the third this is an oddity of
    /// Reed et al.'s code that the release inherited.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, or a size out of its range.
    pub fn stage1(cfg: &NetConfig, scope: &Scope) -> Result<Self> {
        cfg.check_of(Recipe::Residual)?;
        let (n, img) = (cfg.df, scope.pp("encode_img"));
        let halve = |a, b, activation, index| {
            ConvNorm::new((a, b), Window::Halve, activation, STYLE, (&img, index))
        };
        let layers = vec![
            halve(n, 2 * n, LEAKY, 2)?,                    // 16x16
            halve(2 * n, 4 * n, Activation::Identity, 5)?, // 8x8
            halve(4 * n, 8 * n, Activation::Identity, 7)?, // 4x4
        ];
        Self::new(cfg, PictureEncoder::new(64, n, layers, STYLE, &img)?, scope)
    }

    /// Builds a discriminator for 256x256 pictures.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, or a size out of its range.
    pub fn stage2(cfg: &NetConfig, scope: &Scope) -> Result<Self> {
        cfg.check_of(Recipe::Residual)?;
        let (n, img) = (cfg.df, scope.pp("encode_img"));
        let layer = |a, b, window, activation, index| {
            ConvNorm::new((a, b), window, activation, STYLE, (&img, index))
        };
        let layers = vec![
            layer(n, 2 * n, Window::Halve, LEAKY, 2)?,        // 64x64
            layer(2 * n, 4 * n, Window::Halve, LEAKY, 5)?,    // 32x32
            layer(4 * n, 8 * n, Window::Halve, LEAKY, 8)?,    // 16x16
            layer(8 * n, 16 * n, Window::Halve, LEAKY, 11)?,  // 8x8
            layer(16 * n, 32 * n, Window::Halve, LEAKY, 14)?, // 4x4
            layer(32 * n, 16 * n, Window::Point, LEAKY, 17)?,
            layer(16 * n, 8 * n, Window::Point, Activation::Identity, 20)?,
        ];
        Self::new(cfg, PictureEncoder::new(256, n, layers, STYLE, &img)?, scope)
    }

    fn new(cfg: &NetConfig, encode_img: PictureEncoder, scope: &Scope) -> Result<Self> {
        let (n, head) = (cfg.df, scope.pp("head"));
        let outlogits = head.pp("outlogits");
        let joint = (8 * n + cfg.cond_dim, 8 * n);
        Ok(Self {
            encode_img,
            residual: Bottleneck::new(8 * n, LEAKY, scope.pp("residual"))?,
            text_net: Linear::new(cfg.text_dim, cfg.cond_dim, STYLE, head.pp("text_net.0"))?,
            joint: ConvNorm::new(joint, Window::Point, LEAKY, STYLE, (&outlogits, 0))?,
            logit: Conv::new(8 * n, 1, Window::Four, STYLE, outlogits.pp(3))?,
        })
    }

    /// Returns logits `(batch,)` for pictures `(batch, 3, 64, 64)` or `(batch, 3, 256, 256)` with
    /// their embeddings `(batch, text_dim)`.
    ///
    /// Their gradient cannot be differentiated again: see [`stackgan_kernels::backward`].
    ///
    /// # Errors
    /// Shapes that do not match, including pictures of the other stage's size.
    pub fn logits(&self, images: &Tensor, text: &Tensor, mode: Mode) -> Result<Tensor> {
        self.judge(images, text, mode.into())
    }

    fn judge(&self, images: &Tensor, text: &Tensor, by: Statistics) -> Result<Tensor> {
        let x = self.encode_img.forward(images, by)?;
        let x = self.residual.forward(&x, by)?; // 4x4
        let text = activate(&self.text_net.forward(text)?, LEAKY)?;
        let x = self.joint.forward(&x.append_tiled(&text)?, by)?;
        self.logit.forward(&x)?.leave()?.flatten_all()
    }

    /// Returns logits `(batch,)` for several batches of pictures with the same embeddings, each as
    /// [`Self::logits`] in [`Mode::Train`].
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn logits_of<const N: usize>(
        &self,
        images: [&Tensor; N],
        text: &Tensor,
    ) -> Result<[Tensor; N]> {
        let texts = Tensor::cat(&[text; N], 0)?;
        of_each(images, |images, by| self.judge(images, &texts, by))
    }
}
