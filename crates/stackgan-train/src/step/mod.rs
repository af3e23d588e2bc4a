//! One step of training: the discriminator's, then the generator's. Each recipe has one function.

mod parts;
mod plain;
mod residual;
mod stats;

pub use plain::step as plain_step;
pub use residual::step as residual_step;
pub use stats::{Looks, StepStats};

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use stackgan_core::gan::{Draw, GENERATOR_STEP, Generator, GeneratorNoise, SAMPLING};
use stackgan_core::losses::colour_consistency;
use stackgan_core::noise::Noise;
use stackgan_core::{Painted, Params};

use crate::Result;
use crate::adam::Adam;
use crate::config::TrainConfig;
use crate::diff_augment::DiffAugment;
use crate::fine_tune::Tuned;
use crate::matching::Matcher;
use crate::penalty::R1;
use crate::spectral::Spectral;
use parts::Gradients;

/// A network's variables, and the optimiser that updates them.
#[derive(Debug)]
pub struct Optimised {
    /// The variables.
    pub params: Params,
    /// Their optimiser.
    pub adam: Adam,
}

/// The two players. `D` is the discriminator type of a recipe.
#[derive(Debug)]
pub struct Adversaries<D> {
    /// G, with weights that record gradients.
    pub generator: Box<dyn Generator>,
    /// D, with weights that record gradients.
    pub discriminator: D,
    /// The same D with frozen weights, for G's step.
    pub frozen_discriminator: D,
    /// The generator's variables.
    pub g: Optimised,
    /// The discriminator's variables.
    pub d: Optimised,
    /// Spectral normalisation of D's weights, if it is on.
    pub spectral: Option<Spectral<D>>,
    /// Fine-tuning of Stage-I under Stage-II, if it is on.
    pub tuned: Option<Tuned>,
    /// Compares G's pictures with their captions, if the matching loss is on.
    pub matcher: Option<Matcher>,
}

impl<D> Adversaries<D> {
    /// Divides D's current weights by their largest singular values; does nothing without spectral
    /// normalisation.
    ///
    /// Call it after D was built or updated.
    pub(crate) fn normalise_discriminator(&mut self) -> candle_core::Result<()> {
        if let Some(spectral) = &self.spectral {
            (self.discriminator, self.frozen_discriminator) = spectral.renewed(&self.d.params)?;
        }
        Ok(())
    }

    /// Takes a step of Stage-I's own training whenever Stage-II's generator is updated; does
    /// nothing if Stage-I is fixed.
    pub(crate) fn tune_stage1(
        &mut self,
        batch: &Pictures,
        cfg: &StepConfig,
    ) -> Result<Option<StepStats>> {
        match &mut self.tuned {
            Some(tuned) if cfg.generator_moves() => tuned.play(batch, cfg).map(Some),
            _ => Ok(None),
        }
    }

    /// Updates Stage-I's generator with the gradient of Stage-II's loss; does nothing if Stage-I is
    /// fixed.
    pub(crate) fn fine_tune_stage1(
        &mut self,
        grads: &GradStore,
        cfg: &StepConfig,
        stats: &mut StepStats,
    ) -> Result<()> {
        match &mut self.tuned {
            Some(tuned) => tuned.descend(grads, cfg, stats),
            None => Ok(()),
        }
    }
}

/// A batch on the device.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// Real pictures `(batch, 3, size, size)` in [-1, 1].
    pub real: Tensor,
    /// Pictures that do not match the text, same shape as `real`. Only in `residual`, and not with
    /// `data.wrong = "none"`; `plain` shifts the text instead.
    pub wrong: Option<Tensor>,
    /// Embeddings `(batch, text_dim)` of the real pictures' captions.
    pub text: Tensor,
    /// For each picture, the index of the sample whose text makes its wrong pair, `(batch,)`,
    /// counted from the first sample of its part. Only in `plain` with checked classes.
    pub other_text: Option<Tensor>,
}

/// For each sample, the next one in the batch (cyclically) of another class, or simply the next one
/// if there is none.
#[must_use]
pub fn next_of_other_class(classes: &[u32]) -> Vec<u32> {
    let n = classes.len();
    let after = |i: usize| (1..n).map(move |by| (i + by) % n);
    let other = |i: usize| after(i).find(|&j| classes.get(j) != classes.get(i));
    (0..n).map(|i| other(i).unwrap_or((i + 1) % n.max(1)) as u32).collect()
}

/// The noise of one step.
#[derive(Clone, Debug)]
pub struct StepNoise {
    /// Noise of the fake on which D is trained.
    pub d: GeneratorNoise,
    /// Noise of the fake on which G is trained (`residual`; `plain` uses one fake for both).
    pub g: GeneratorNoise,
}

impl StepNoise {
    /// Draws the noise of `step` for a batch of `batch` samples, with the run's seed and scales.
    ///
    /// # Errors
    /// When the tensors cannot be created.
    pub fn draw(
        cfg: &TrainConfig,
        step: u64,
        batch: usize,
        device: &Device,
    ) -> candle_core::Result<Self> {
        let noise = Noise::new(cfg.seed);
        let samples: Vec<u64> = (0..batch as u64).collect();
        let of = Draw { net: &cfg.net, epsilon: cfg.noise.epsilon, device };
        let draw = |streams| {
            let drawn = GeneratorNoise::draw(noise, streams, step, &samples, &of)?;
            drawn.scaled(cfg.train_scales())
        };
        Ok(Self { d: draw(SAMPLING)?, g: draw(GENERATOR_STEP)? })
    }
}

/// Weights of the loss terms and learning rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepConfig {
    /// The step, counted from 0.
    pub step: u64,
    /// Learning rate of G.
    pub lr_g: f64,
    /// Learning rate of D.
    pub lr_d: f64,
    /// Weight of the KL term; `COEFF.KL` (2.0) in the releases.
    pub kl: f64,
    /// The R1 gradient penalty of D.
    pub r1: R1,
    /// Weight of the colour-consistency term of Stage-II; 0 in the releases.
    pub colour_consistency: f64,
    /// Weight of the matching loss; 0 in the releases.
    pub matching: f64,
    /// D's label for real pictures with matching text; 1 in the releases.
    pub real_label: f64,
    /// The augmentation of pictures before D sees them; none in the releases.
    pub augment: DiffAugment,
    /// G is updated in every `d_steps`-th step; 1 in the releases.
    pub d_steps: u64,
    /// Number of pictures in a part of the batch, which must divide the batch size; 0 processes the
    /// whole batch, as in the releases.
    pub micro_batch: usize,
    /// When losses and gradients are checked.
    pub looks: Looks,
}

impl StepConfig {
    /// The settings of `step` (counted from 0), with the factor `decay` on the learning rates.
    /// Values are checked as the step goes.
    #[must_use]
    pub fn of(cfg: &TrainConfig, step: u64, decay: f64) -> Self {
        let (noise, policy) = (Noise::new(cfg.seed), cfg.knobs.diff_augment);
        Self {
            step,
            lr_g: cfg.optim.lr_g * decay,
            lr_d: cfg.optim.lr_d * decay,
            kl: cfg.kl(),
            r1: cfg.loss.r1,
            colour_consistency: cfg.loss.colour_consistency,
            matching: cfg.loss.matching,
            real_label: cfg.knobs.real_label,
            augment: DiffAugment { policy, noise, step, first: 0 },
            d_steps: cfg.knobs.d_steps,
            micro_batch: cfg.knobs.micro_batch,
            looks: Looks::AsItGoes,
        }
    }

    /// Whether G is updated in this step: the last of every `d_steps`.
    #[must_use]
    pub const fn generator_moves(&self) -> bool {
        self.d_steps <= 1 || (self.step + 1).is_multiple_of(self.d_steps)
    }
}

/// Computes the gradient norm and takes the optimiser's step. Returns the gradients.
///
/// If values are checked as the step goes, nothing is changed when a gradient is not finite.
fn descend(
    player: &mut Optimised,
    grads: Gradients,
    (cfg, lr): (&StepConfig, f64),
    norm_name: &'static str,
    stats: &mut StepStats,
) -> Result<GradStore> {
    let grads = grads.sum()?;
    let norm = player.adam.gradient_norm(&grads)?;
    if let Err(error) = stats.check(norm_name, &norm, cfg) {
        return Err(error.naming(norm_name, player.adam.first_non_finite(&grads)?));
    }
    stats.push(norm_name, &norm);
    player.adam.step(&grads, lr)?;
    Ok(grads)
}

/// G's loss: its adversarial part plus KL, and plus colour consistency and matching if they are on.
fn generator_loss(
    (painted, text): (&Painted, &Tensor),
    adversarial: Tensor,
    matcher: Option<&Matcher>,
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<Tensor> {
    let kl = painted.conditioning.kl()?;
    stats.push_part("g_adv", &adversarial)?;
    stats.push_part("kl", &kl)?;
    stats.push_part("sigma", &painted.conditioning.mean_sigma()?)?;
    let mut loss = (adversarial + (kl * cfg.kl)?)?;
    if let (Some(low), true) = (&painted.low, cfg.colour_consistency > 0.0) {
        let colour = colour_consistency(&painted.image, low)?;
        stats.push_part("colour", &colour)?;
        loss = (loss + (colour * cfg.colour_consistency)?)?;
    }
    if let (Some(matcher), true) = (matcher, cfg.matching > 0.0) {
        let matching = matcher.loss(&painted.image, text)?;
        stats.push_part("matching", &matching)?;
        loss = (loss + (matching * cfg.matching)?)?;
    }
    stats.push_part("g_loss", &loss)?;
    Ok(loss)
}
