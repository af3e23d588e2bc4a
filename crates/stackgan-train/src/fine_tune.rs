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
use stackgan_core::archive::{prefixed, under};
use stackgan_core::generator_noise::{Draw, Epsilon, GeneratorNoise, Scales};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::residual::{Discriminator, Stage1Generator};
use stackgan_core::{NetConfig, Params};

use crate::adam::Adam;
use crate::config::{LossConfig, TrainConfig};
use crate::diff_augment::Augmentations;
use crate::knobs::Knobs;
use crate::r1::R1;
use crate::step::{
    Batch, Game, Inputs, Optimised, StepConfig, StepNoise, StepStats, Views, residual_step,
    residual_step_with_gradients,
};
use crate::{Error, Result, projected};

/// Ratio of the sides of Stage-II and Stage-I pictures.
const EVERY: usize = 4;

/// The Stage-I networks, and the optimiser of their generator for Stage-II's loss.
#[derive(Debug)]
pub(crate) struct Tuned {
    game: Game,
    views: Views<Discriminator>,
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
    pub(crate) fn new(
        cfg: &TrainConfig,
        (stage1, net): (&Params, &NetConfig),
        discriminator: &BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let mut discriminator = discriminator.clone();
        // Stage-I plays on without a second discriminator.
        discriminator.retain(|name, _| !name.starts_with(projected::PREFIX));
        let (g, d) = (stage1.shared(), Params::given(discriminator, device)?);
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
            game: Game { generator, g, d, matcher: None, projected: None },
            views: Views { trained, frozen, spectral: None },
            by_stage2,
            factor: cfg.knobs.finetune_stage1,
            net: *net,
            epsilon: cfg.noise.epsilon,
            scales: cfg.train_scales(),
            noise: Noise::new(cfg.seed),
        })
    }

    /// Takes one step of both players of Stage-II. When its G is updated, Stage-I is too.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`], if values are checked as the step goes; tensor errors.
    pub(crate) fn step(
        &mut self,
        (game, views): (&mut Game, &mut Views<Discriminator>),
        inputs: &Inputs,
        cfg: &StepConfig,
    ) -> Result<StepStats> {
        let (mut stats, grads) = residual_step_with_gradients(game, views, inputs, cfg)?;
        let Some(grads) = grads else { return Ok(stats) };
        self.descend(&grads, cfg, &mut stats)?;
        drop(grads); // or their memory would be held through Stage-I's own game
        let own = self.play(&inputs.batch, cfg).map_err(Error::of_stage1)?;
        Ok(stats.with_stage1(own))
    }

    /// Takes a step of Stage-I's own adversarial training. `batch` is that of Stage-II.
    fn play(&mut self, batch: &Batch, cfg: &StepConfig) -> Result<StepStats> {
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
            augment: None,
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
            knobs: Knobs { diff_augment: Augmentations::default(), d_steps: 1, ..cfg.knobs },
            ..*cfg
        };
        residual_step(&mut self.game, &mut self.views, &Inputs { batch, noise }, &cfg)
    }

    /// Updates the Stage-I generator with the gradient of Stage-II's loss. Nothing of Stage-I is
    /// changed if the gradient is not finite and values are checked as the step goes.
    fn descend(
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
        prefixed("tune.d.", self.game.d.params.all()).collect()
    }

    /// The moments of the three optimisers, by their names in a checkpoint.
    pub(crate) fn moments(&self) -> Vec<(String, Var)> {
        prefixed("tune.adam.d.", self.game.d.adam.moments())
            .chain(prefixed("tune.adam.g.", self.game.g.adam.moments()))
            .chain(prefixed("tune.adam.by_stage2.", self.by_stage2.moments()))
            .collect()
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

    /// Restores the [discriminator](Self::discriminator) and the [moments](Self::moments) of a checkpoint,
    /// by their names without `tune.`, after `steps` steps of Stage-II's generator.
    ///
    /// # Errors
    /// Names the first tensor that is missing or of the wrong shape.
    pub(crate) fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        self.game.d.params.set(&under("d.", state))?;
        self.game.d.adam.restore(&under("adam.d.", state), steps)?;
        self.game.g.adam.restore(&under("adam.g.", state), steps)?;
        Ok(self.by_stage2.restore(&under("adam.by_stage2.", state), steps)?)
    }
}

/// Reduces `(batch, 3, 256, 256)` to `(batch, 3, 64, 64)` by keeping every fourth pixel.
fn every_fourth(images: &Tensor) -> candle_core::Result<Tensor> {
    let kept: Vec<u32> = (0..images.dim(3)? as u32).step_by(EVERY).collect();
    let kept = Tensor::new(kept, images.device())?;
    images.index_select(&kept, 2)?.contiguous()?.index_select(&kept, 3)
}

#[cfg(test)]
mod tests {
    use stackgan_core::generators;

    use super::*;
    use crate::Pretrained;
    use crate::config::preset;
    use crate::players::{AnyDiscriminator, Players};
    use crate::start::Start;

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

    fn config() -> TrainConfig {
        let mut cfg = TrainConfig::from_toml(preset("toy-stage2").unwrap()).unwrap();
        (cfg.net.gf, cfg.net.df, cfg.net.text_dim, cfg.net.channel_floor) = (8, 4, 12, 0);
        (cfg.knobs.finetune_stage1, cfg.loss.matching, cfg.loss.r1.gamma) = (0.5, 0.0, 0.0);
        cfg
    }

    fn inputs(cfg: &TrainConfig) -> Inputs {
        let draw = |sample, shape: &[usize]| {
            let values = Noise::new(8).normal(Stream::Test, 0, sample, shape.iter().product());
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let picture = |sample| draw(sample, &[2, 3, 256, 256]).tanh().unwrap();
        let (real, wrong, text) = (picture(0), Some(picture(1)), draw(2, &[2, 12]));
        let noise = StepNoise::draw(cfg, 0, 2, &Device::Cpu).unwrap();
        Inputs { batch: Batch { real, wrong, text, other_text: None }, noise }
    }

    /// Returns fresh players with a Stage-I that is tuned.
    fn tuned(cfg: &TrainConfig) -> (Params, Players) {
        let fresh = |name| Params::fresh(Noise::new(1), name, &Device::Cpu);
        let (low, d) = (fresh("g1"), fresh("d1"));
        drop(generators::stage1(&cfg.net, &low.trained()).unwrap());
        drop(Discriminator::stage1(&cfg.net, &d.trained()).unwrap());
        let start = Start { generator: None, stage1_discriminator: Some(d.snapshot().unwrap()) };
        let stage1 = Some((&low, &cfg.net));
        let players =
            Players::new(cfg, stage1, &start, Pretrained::default(), &Device::Cpu).unwrap();
        (low, players)
    }

    fn bytes(low: &Params, players: &Players) -> Vec<u8> {
        let mut archive = players.state();
        archive.extend("stage1.", low.values());
        archive.to_bytes().unwrap()
    }

    /// Source: TensorFlow release, `stageII/trainer.py`, `train_one_step` with `FINETUNE_LR`.
    #[test]
    fn stage1_plays_its_own_game_after_the_step_of_stage2() {
        let cfg = config();
        let (inputs, step) = (inputs(&cfg), StepConfig::of(&cfg, 0, 1.0));
        let (low, mut whole) = tuned(&cfg);
        let stats = whole.step(&inputs, &step).unwrap();
        assert!(stats.get("stage1_d_loss").unwrap() > 0.0);
        let by_hand = |own_game_first: bool| {
            let (low, mut players) = tuned(&cfg);
            let AnyDiscriminator::Residual(views) = &mut players.discriminator else {
                unreachable!()
            };
            let (game, tuned) = (&mut players.game, players.tuned.as_mut().unwrap());
            if own_game_first {
                tuned.play(&inputs.batch, &step).unwrap();
            }
            let (mut stats, grads) =
                residual_step_with_gradients(game, views, &inputs, &step).unwrap();
            tuned.descend(&grads.unwrap(), &step, &mut stats).unwrap();
            if !own_game_first {
                tuned.play(&inputs.batch, &step).unwrap();
            }
            bytes(&low, &players)
        };
        assert!(bytes(&low, &whole) == by_hand(false));
        assert!(bytes(&low, &whole) != by_hand(true));
    }
}
