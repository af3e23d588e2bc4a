//! Stage-I generator of the residual recipe: from a sentence to 64x64. Source: `stageI/model.py`,
//! `generator`.

use candle_core::{Result, Tensor};
use stackgan_kernels::{self as kernels, Activation, Filter, Maps};

use super::{Bottleneck, STYLE};
use crate::cond_aug::Augmentation;
use crate::generator::{Generator, Mode, Painted};
use crate::generator_noise::GeneratorNoise;
use crate::layers::{BatchNorm, Linear, UpBlock};
use crate::params::Scope;
use crate::{NetConfig, Recipe};

/// Text and noise are mapped to 4x4, followed by four up-samplings, with a bottleneck at 4x4 and at
/// 8x8.
#[derive(Clone, Debug)]
pub struct Stage1Generator {
    ca_net: Augmentation,
    fc: Linear,
    fc_norm: BatchNorm,
    residual1: Bottleneck,
    upsample1: UpBlock,
    residual2: Bottleneck,
    upsample2: UpBlock,
    upsample3: UpBlock,
    img: Tensor, // (3, channels, 3, 3)
    ngf: usize,
}

impl Stage1Generator {
    /// Builds the network on the tensors of `scope`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, or a size out of its range.
    pub fn new(cfg: &NetConfig, scope: &Scope) -> Result<Self> {
        cfg.check_of(Recipe::Residual)?;
        let ngf = 8 * cfg.gf; // 1024
        let (c8, c16, c32) =
            (cfg.up_channels(ngf / 2), cfg.up_channels(ngf / 4), cfg.up_channels(ngf / 8));
        let relu = Activation::Relu;
        Ok(Self {
            ca_net: Augmentation::log_sigma(
                (cfg.text_dim, cfg.cond_dim),
                STYLE,
                scope.pp("ca_net"),
            )?,
            fc: Linear::new(cfg.cond_dim + cfg.z_dim, ngf * 16, STYLE, scope.pp("fc.0"))?,
            fc_norm: BatchNorm::new(ngf * 16, Activation::Identity, STYLE, scope.pp("fc.1"))?,
            residual1: Bottleneck::new(ngf, relu, scope.pp("residual1"))?,
            upsample1: UpBlock::new(ngf, c8, Activation::Identity, STYLE, scope.pp("upsample1"))?,
            residual2: Bottleneck::new(c8, relu, scope.pp("residual2"))?,
            upsample2: UpBlock::new(c8, c16, relu, STYLE, scope.pp("upsample2"))?,
            upsample3: UpBlock::new(c16, c32, relu, STYLE, scope.pp("upsample3"))?,
            img: scope.pp("img.1").weight("weight", (3, c32, 3, 3), STYLE.conv)?,
            ngf,
        })
    }
}

impl Generator for Stage1Generator {
    fn paint(&self, text: &Tensor, noise: &GeneratorNoise, mode: Mode) -> Result<Painted> {
        let conditioning = self.ca_net.forward(text, &noise.eps1)?;
        let input = Tensor::cat(&[&conditioning.c, &noise.z], 1)?; // text first
        let x = self.fc_norm.forward(&self.fc.forward(&input)?, mode)?;
        let x = Maps::enter(&x.reshape(((), self.ngf, 4, 4))?)?;
        let x = self.residual1.forward(&x, mode)?;
        let x = self.upsample1.forward(&x, mode)?; // 8x8
        let x = self.residual2.forward(&x, mode)?;
        let x = self.upsample2.forward(&x, mode)?; // 16x16
        let x = self.upsample3.forward(&x, mode)?; // 32x32
        let image = kernels::tanh(&x.conv(&self.img, Filter::Up)?.leave()?)?; // 64x64
        Ok(Painted { image, low: None, conditioning })
    }
}
