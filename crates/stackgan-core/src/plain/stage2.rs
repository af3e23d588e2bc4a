//! Stage-II generator of the plain recipe: from a Stage-I picture and its sentence to 256x256.
//!
//! Source: `code/model.py`, `STAGE2_G`.

use candle_core::{Result, Tensor};

use super::{STYLE, Stage1Generator};
use crate::cond_aug::LogVarianceAugmentation;
use crate::generator::{Generator, Mode, Painted, Stage1Statistics};
use crate::generator_noise::GeneratorNoise;
use crate::params::Scope;
use crate::refiner::Refiner;
use crate::{NetConfig, Recipe};

/// Stage-I, a separate conditioning augmentation, and the refining network.
#[derive(Clone, Debug)]
pub struct Stage2Generator {
    stage1: Stage1Generator,
    stage1_statistics: Stage1Statistics,
    ca_net: LogVarianceAugmentation,
    refiner: Refiner,
}

impl Stage2Generator {
    /// Builds Stage-II on the tensors of `scope`, with the given Stage-I generator.
    ///
    /// If that generator was built on a frozen scope, Stage-I stays unchanged and needs no memory
    /// for gradients. If it was built on a trained scope, Stage-II's gradient reaches it.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, or a size out of its range.
    pub fn new(
        cfg: &NetConfig,
        stage1: Stage1Generator,
        stage1_statistics: Stage1Statistics,
        scope: &Scope,
    ) -> Result<Self> {
        cfg.check_of(Recipe::Plain)?;
        Ok(Self {
            stage1,
            stage1_statistics,
            ca_net: LogVarianceAugmentation::new(
                cfg.text_dim,
                cfg.cond_dim,
                STYLE,
                scope.pp("ca_net"),
            )?,
            refiner: Refiner::new(cfg, STYLE, scope)?,
        })
    }
}

impl Generator for Stage2Generator {
    fn paint(&self, text: &Tensor, noise: &GeneratorNoise, mode: Mode) -> Result<Painted> {
        let low = self.stage1.paint(text, noise, self.stage1_statistics.mode(mode))?.image;
        let conditioning = self.ca_net.forward(text, &noise.eps2)?;
        let image = self.refiner.forward(&low, &conditioning.c, mode)?;
        Ok(Painted { image, low: Some(low), conditioning })
    }
}
