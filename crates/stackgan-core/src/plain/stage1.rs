//! Stage-I generator of the plain recipe: from a sentence to 64x64. Source: `code/model.py`,
//! `STAGE1_G`.

use candle_core::{Result, Tensor};
use stackgan_kernels::{self as kernels, Activation, Maps};

use super::STYLE;
use crate::cond_aug::Augmentation;
use crate::generator::{Generator, Mode, Painted};
use crate::generator_noise::GeneratorNoise;
use crate::layers::{BatchNorm, Conv, Linear, UpBlock, Window};
use crate::params::Scope;
use crate::{NetConfig, Recipe};

/// Noise and text are mapped to 4x4, followed by four up-samplings.
#[derive(Clone, Debug)]
pub struct Stage1Generator {
    ca_net: Augmentation,
    fc: Linear,
    fc_norm: BatchNorm,
    upsample1: UpBlock,
    upsample2: UpBlock,
    upsample3: UpBlock,
    upsample4: UpBlock,
    img: Conv,
    ngf: usize,
}

impl Stage1Generator {
    /// Builds the network on the tensors of `scope`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, or a size out of its range.
    pub fn new(cfg: &NetConfig, scope: &Scope) -> Result<Self> {
        cfg.check_of(Recipe::Plain)?;
        let ngf = 8 * cfg.gf; // 1024
        let channels = [2, 4, 8, 16].map(|d| cfg.up_channels(ngf / d));
        let [c8, c16, c32, c64] = channels;
        let relu = Activation::Relu;
        Ok(Self {
            ca_net: Augmentation::log_variance(
                (cfg.text_dim, cfg.cond_dim),
                STYLE,
                scope.pp("ca_net"),
            )?,
            fc: Linear::no_bias(cfg.cond_dim + cfg.z_dim, ngf * 16, STYLE, scope.pp("fc.0"))?,
            fc_norm: BatchNorm::new(ngf * 16, relu, STYLE, scope.pp("fc.1"))?,
            upsample1: UpBlock::new(ngf, c8, relu, STYLE, scope.pp("upsample1"))?,
            upsample2: UpBlock::new(c8, c16, relu, STYLE, scope.pp("upsample2"))?,
            upsample3: UpBlock::new(c16, c32, relu, STYLE, scope.pp("upsample3"))?,
            upsample4: UpBlock::new(c32, c64, relu, STYLE, scope.pp("upsample4"))?,
            img: Conv::new(c64, 3, Window::Three, STYLE, scope.pp("img.0"))?,
            ngf,
        })
    }
}

impl Generator for Stage1Generator {
    fn paint(&self, text: &Tensor, noise: &GeneratorNoise, mode: Mode) -> Result<Painted> {
        let conditioning = self.ca_net.forward(text, &noise.eps1)?;
        let input = Tensor::cat(&[&noise.z, &conditioning.c], 1)?; // noise first
        let x = self.fc_norm.forward(&self.fc.forward(&input)?, mode)?;
        let x = Maps::enter(&x.reshape(((), self.ngf, 4, 4))?)?;
        let x = self.upsample1.forward(&x, mode)?; // 8x8
        let x = self.upsample2.forward(&x, mode)?; // 16x16
        let x = self.upsample3.forward(&x, mode)?; // 32x32
        let x = self.upsample4.forward(&x, mode)?; // 64x64
        let image = kernels::tanh(&self.img.forward(&x)?.leave()?)?;
        Ok(Painted { image, low: None, conditioning })
    }
}
