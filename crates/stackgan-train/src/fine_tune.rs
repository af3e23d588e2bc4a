//! Fine-tuning of Stage-I while Stage-II is trained. An option of the `residual` recipe, off by
//! default in the release.
//!
//! Source: TensorFlow release, `stageII/trainer.py`, `TRAIN.FINETUNE_LR` and `TRAIN.FT_LR_RETIO`
//! (0.1). Both Stage-I networks continue their own adversarial training, and the Stage-I generator
//! is also updated with the loss of Stage-II. There are three optimisers, at a tenth of the
//! learning rates. The real 64x64 pictures are every fourth pixel of the 256x256 ones, as that
//! release's `resize_bilinear` makes them.
//!
//! The order is that of the release's `train_one_step`: D of Stage-II; its G, and along the same
//! gradient Stage-I's; then D and G of Stage-I's own game, with fresh noise.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use stackgan_core::gan::{Draw, Epsilon, GeneratorNoise, Scales};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::residual::{Discriminator, Stage1Generator};
use stackgan_core::{NetConfig, Params};

use crate::Result;
use crate::adam::Adam;
use crate::config::{LossConfig, TrainConfig};
use crate::diff_augment::Policy;
use crate::knobs::Knobs;
use crate::penalty::R1;
use crate::step::{
    Batch, Game, Inputs, Optimised, Pair, StepConfig, StepNoise, StepStats, residual_step,
};

/// Ratio of the sides of Stage-II and Stage-I pictures.
const EVERY: usize = 4;

/// The Stage-I networks, and the optimiser of their generator for Stage-II's loss.
#[derive(Debug)]
pub struct Tuned {
    game: Game,
    pair: Pair<Discriminator>,
    by_stage2: Adam,
    factor: f64,
    net: NetConfig,
    epsilon: Epsilon,
    scales: Scales,
    noise: Noise,
}

impl Tuned {
    /// Sets up fine-tuning.
    ///
    /// The Stage-I generator shares its variables with Stage-II. `discriminator` comes from the run
    /// that trained Stage-I.
    ///
    /// # Errors
    /// When the discriminator's tensors do not match the sizes of Stage-I.
    pub fn new(
        cfg: &TrainConfig,
        (stage1, net): (&Params, &NetConfig),
        discriminator: &BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let (g, d) = (stage1.shared(), Params::given(discriminator.clone(), device)?);
        let generator = Box::new(Stage1Generator::new(net, &g.trained())?);
        let frozen = Discriminator::stage1(net, &d.frozen())?;
        let trained = Discriminator::stage1(net, &d.trained())?;
        d.check_all_used()?;
        let adam = |params: &Params, limit| -> Result<Adam> {
            Ok(Adam::new(params, cfg.betas())?.within(limit))
        };
        let (clip_g, clip_d) = (cfg.knobs.clip_g, cfg.knobs.clip_d);
        let by_stage2 = adam(&g, clip_g)?;
        let g = Optimised { adam: adam(&g, clip_g)?, params: g };
        let d = Optimised { adam: adam(&d, clip_d)?, params: d };
        Ok(Self {
            game: Game { generator, g, d, matcher: None, tuned: None },
            pair: Pair { trained, frozen, spectral: None },
            by_stage2,
            factor: cfg.knobs.finetune_stage1,
            net: *net,
            epsilon: cfg.noise.epsilon,
            scales: cfg.train_scales(),
            noise: Noise::new(cfg.seed),
        })
    }

    /// Takes a step of Stage-I's own adversarial training. `batch` is that of Stage-II.
    ///
    /// # Errors
    /// As the step.
    pub fn play(&mut self, batch: &Batch, cfg: &StepConfig) -> Result<StepStats> {
        let (samples, device) = (batch.text.dim(0)? as u64, batch.text.device());
        let samples: Vec<u64> = (0..samples).collect();
        let draw = |z, eps| -> candle_core::Result<GeneratorNoise> {
            let of = Draw { net: &self.net, epsilon: self.epsilon, device };
            let drawn = GeneratorNoise::draw(self.noise, [z, eps, eps], cfg.step, &samples, &of)?;
            drawn.scaled(self.scales)
        };
        let noise = StepNoise {
            d: draw(Stream::TuneZ, Stream::TuneCondAug)?,
            g: draw(Stream::TuneGeneratorZ, Stream::TuneGeneratorCondAug)?,
        };
        let batch = Batch {
            real: every_fourth(&batch.real)?,
            wrong: batch.wrong.as_ref().map(every_fourth).transpose()?,
            text: batch.text.clone(),
            other_text: None,
        };
        let r1 = R1 { gamma: 0.0, every: 1 };
        let cfg = StepConfig {
            lr_g: cfg.lr_g * self.factor,
            lr_d: cfg.lr_d * self.factor,
            loss: LossConfig { r1, ..cfg.loss },
            knobs: Knobs { diff_augment: Policy::default(), d_steps: 1, ..cfg.knobs },
            ..*cfg
        };
        residual_step(&mut self.game, &mut self.pair, &Inputs { batch, noise }, &cfg)
    }

    /// Updates the Stage-I generator with the gradient of Stage-II's loss.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] before Stage-I is changed, if values are checked as the step
    /// goes; tensor errors.
    pub(crate) fn descend(
        &mut self,
        grads: &GradStore,
        cfg: &StepConfig,
        stats: &mut StepStats,
    ) -> Result<()> {
        let norm = self.by_stage2.gradient_norm(grads)?;
        stats.check("stage1_grad", &norm, cfg)?;
        Ok(self.by_stage2.step(grads, cfg.lr_g * self.factor)?)
    }

    /// The variables of Stage-I's discriminator, by their names in a checkpoint. Those of its
    /// generator belong to Stage-I.
    pub(crate) fn discriminator(&self) -> Vec<(String, Var)> {
        named("tune.d.", self.game.d.params.all())
    }

    /// The moments of the three optimisers, by their names in a checkpoint.
    pub(crate) fn moments(&self) -> Vec<(String, Var)> {
        let of_d = named("tune.adam.d.", self.game.d.adam.moments());
        let of_g = named("tune.adam.g.", self.game.g.adam.moments());
        let by_stage2 = named("tune.adam.by_stage2.", self.by_stage2.moments());
        [of_d, of_g, by_stage2].concat()
    }

    /// All variables that these steps change.
    pub(crate) fn variables(&self) -> Vec<(String, Var)> {
        [self.game.g.params.all(), self.discriminator(), self.moments()].concat()
    }

    /// Sets the step counts to that of restored variables: `steps` steps of Stage-II's generator.
    pub(crate) const fn rewind(&mut self, steps: u64) {
        self.game.g.adam.rewind(steps);
        self.game.d.adam.rewind(steps);
        self.by_stage2.rewind(steps);
    }

    /// The state to store in a checkpoint: the discriminator and the three optimisers. The Stage-I
    /// generator is stored separately.
    ///
    /// # Errors
    /// When memory for the copies cannot be allocated.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let parts = [
            named("d.", self.game.d.params.snapshot()?),
            named("adam.d.", self.game.d.adam.state()),
            named("adam.g.", self.game.g.adam.state()),
            named("adam.by_stage2.", self.by_stage2.state()),
        ];
        Ok(parts.into_iter().flatten().collect())
    }

    /// Restores what [`Tuned::state`] returned after `steps` steps of Stage-II's generator.
    ///
    /// # Errors
    /// Names the first tensor that is missing or of the wrong shape.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        let part = |prefix: &str| -> BTreeMap<String, Tensor> {
            let strip =
                |(n, t): (&String, &Tensor)| Some((n.strip_prefix(prefix)?.to_owned(), t.clone()));
            state.iter().filter_map(strip).collect()
        };
        self.game.d.params.set(&part("d."))?;
        self.game.d.adam.restore(&part("adam.d."), steps)?;
        self.game.g.adam.restore(&part("adam.g."), steps)?;
        Ok(self.by_stage2.restore(&part("adam.by_stage2."), steps)?)
    }
}

/// Puts a prefix before every name.
fn named<T>(prefix: &str, tensors: impl IntoIterator<Item = (String, T)>) -> Vec<(String, T)> {
    tensors.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect()
}

/// Reduces `(batch, 3, 256, 256)` to `(batch, 3, 64, 64)` by keeping every fourth pixel.
fn every_fourth(images: &Tensor) -> candle_core::Result<Tensor> {
    let kept: Vec<u32> = (0..images.dim(3)? as u32).step_by(EVERY).collect();
    let kept = Tensor::new(kept, images.device())?;
    images.index_select(&kept, 2)?.contiguous()?.index_select(&kept, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: TensorFlow 0.12, `resize_bilinear` without `align_corners`: pixel `i` of the result is
    /// that at `i * 256 / 64`.
    #[test]
    fn every_fourth_pixel_is_kept() {
        let values: Vec<f32> = (0..2 * 3 * 8 * 8).map(|i| i as f32).collect();
        let images = Tensor::from_vec(values, (2, 3, 8, 8), &Device::Cpu).unwrap();
        let small = every_fourth(&images).unwrap();
        assert_eq!(small.dims(), [2, 3, 2, 2]);
        let kept = small.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(kept[..4], [0.0, 4.0, 32.0, 36.0]);
        assert_eq!(kept[23], f32::from(2 * 3 * 64u16 - 64 + 36));
    }
}
