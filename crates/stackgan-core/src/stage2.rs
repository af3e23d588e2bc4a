//! Stage-II's generator: from a Stage-I picture and its sentence to 256x256.
//!
//! It encodes the Stage-I picture to 16x16, appends the tiled text code, and applies residual
//! blocks and four up-samplings to 256x256. Both releases have the same network, with their own
//! conditioning augmentation and style.
//!
//! Source: `STAGE2_G` (PyTorch release), `hr_g_net` (TensorFlow release,
//! in `stageII/model.py`).

use candle_core::{Result, Tensor};
use stackgan_kernels::{self as kernels, Activation, Maps};

use crate::NetConfig;
use crate::cond_aug::Augmentation;
use crate::generator::{Generator, Mode, Painted, Stage1Statistics};
use crate::generator_noise::GeneratorNoise;
use crate::layers::{Conv, ConvNorm, ResidualBlock, Style, UpBlock, Window};
use crate::params::Scope;

/// Stage-I, a conditioning augmentation of its own, and the refining network.
#[derive(Debug)]
pub(crate) struct Stage2Generator {
    stage1: Box<dyn Generator>,
    stage1_statistics: Stage1Statistics,
    ca_net: Augmentation,
    encoder0: Conv,
    encoder2: ConvNorm,
    encoder5: ConvNorm,
    hr_joint: ConvNorm,
    residual: Vec<ResidualBlock>,
    upsample1: UpBlock,
    upsample2: UpBlock,
    upsample3: UpBlock,
    upsample4: UpBlock,
    img: Conv,
}

impl Stage2Generator {
    /// Builds Stage-II on the tensors of `scope`, with the given Stage-I generator.
    ///
    /// If that generator was built on a frozen scope, Stage-I stays unchanged and needs no memory
    /// for gradients. If it was built on a trained scope, Stage-II's gradient reaches it.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub(crate) fn new(
        cfg: &NetConfig,
        (stage1, stage1_statistics): (Box<dyn Generator>, Stage1Statistics),
        ca_net: Augmentation,
        style: Style,
        scope: &Scope,
    ) -> Result<Self> {
        let (g, relu) = (cfg.gf, Activation::Relu);
        let encoder = scope.pp("encoder");
        let joint = scope.pp("hr_joint");
        let up = |input, output, name| UpBlock::new(input, output, relu, style, scope.pp(name));
        let (u1, u2) = (cfg.up_channels(2 * g), cfg.up_channels(g));
        let (u3, u4) = (cfg.up_channels(g / 2), cfg.up_channels(g / 4));
        Ok(Self {
            stage1,
            stage1_statistics,
            ca_net,
            encoder0: Conv::new(3, g, Window::Three, style, encoder.pp(0))?,
            encoder2: ConvNorm::new((g, 2 * g), Window::Halve, relu, style, (&encoder, 2))?,
            encoder5: ConvNorm::new((2 * g, 4 * g), Window::Halve, relu, style, (&encoder, 5))?,
            hr_joint: ConvNorm::new(
                (4 * g + cfg.cond_dim, 4 * g),
                Window::Three,
                relu,
                style,
                (&joint, 0),
            )?,
            residual: (0..cfg.residual_blocks)
                .map(|i| ResidualBlock::new(4 * g, style, scope.pp("residual").pp(i)))
                .collect::<Result<_>>()?,
            upsample1: up(4 * g, u1, "upsample1")?,
            upsample2: up(u1, u2, "upsample2")?,
            upsample3: up(u2, u3, "upsample3")?,
            upsample4: up(u3, u4, "upsample4")?,
            img: Conv::new(u4, 3, Window::Three, style, scope.pp("img.0"))?,
        })
    }

    /// Maps `low` `(batch, 3, 64, 64)` and `c` `(batch, cond_dim)` to `(batch, 3, 256, 256)` in
    /// [-1, 1].
    fn refine(&self, low: &Tensor, c: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = self.encoder0.forward(&Maps::enter(low)?)?.activate(Activation::Relu)?; // 64x64
        let x = self.encoder2.forward(&x, mode)?; // 32x32
        let x = self.encoder5.forward(&x, mode)?; // 16x16
        let mut x = self.hr_joint.forward(&x.append_tiled(c)?, mode)?;
        for block in &self.residual {
            x = block.forward(&x, mode)?;
        }
        let x = self.upsample1.forward(&x, mode)?; // 32x32
        let x = self.upsample2.forward(&x, mode)?; // 64x64
        let x = self.upsample3.forward(&x, mode)?; // 128x128
        let x = self.upsample4.forward(&x, mode)?; // 256x256
        kernels::tanh(&self.img.forward(&x)?.leave()?)
    }
}

impl Generator for Stage2Generator {
    fn paint(&self, text: &Tensor, noise: &GeneratorNoise, mode: Mode) -> Result<Painted> {
        let low = self.stage1.paint(text, noise, self.stage1_statistics.mode(mode))?.image;
        let conditioning = self.ca_net.forward(text, &noise.eps2)?;
        let image = self.refine(&low, &conditioning.c, mode)?;
        Ok(Painted { image, low: Some(low), conditioning })
    }
}
