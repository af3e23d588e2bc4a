//! One step of the game: the discriminator's, then the generator's. One readable function a recipe.

mod parts;
mod plain;
mod residual;
mod stats;

pub use plain::step as plain_step;
pub use residual::step as residual_step;
pub use stats::{Looks, StepStats};

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use stackgan_core::gan::{Epsilon, GENERATOR_STEP, Generator, GeneratorNoise, SAMPLING};
use stackgan_core::losses::colour_consistency;
use stackgan_core::noise::Noise;
use stackgan_core::{NetConfig, Painted, Params};

use crate::Result;
use crate::adam::Adam;
use crate::config::TrainConfig;
use crate::diff_augment::DiffAugment;
use crate::fine_tune::Tuned;
use crate::matching::Matcher;
use crate::penalty::R1;
use crate::spectral::Spectral;
use parts::Gradients;

/// A network's variables and the one optimiser that may change them.
#[derive(Debug)]
pub struct Optimised {
    /// The variables.
    pub params: Params,
    /// Their optimiser.
    pub adam: Adam,
}

/// The two players. `D` is a recipe's discriminator.
#[derive(Debug)]
pub struct Adversaries<D> {
    /// G, whose weights record gradients.
    pub generator: Box<dyn Generator>,
    /// D, whose weights record gradients.
    pub discriminator: D,
    /// The same D without: G's step passes through it.
    pub frozen_discriminator: D,
    /// The generator's variables.
    pub g: Optimised,
    /// The discriminator's variables.
    pub d: Optimised,
    /// Spectral normalisation of D's weights, where it is on.
    pub spectral: Option<Spectral<D>>,
    /// Stage-I's generator under Stage-II's, where it is tuned.
    pub tuned: Option<Tuned>,
    /// What tells G whether its pictures match their captions, where that is asked for.
    pub matcher: Option<Matcher>,
}

impl<D> Adversaries<D> {
    /// Divides D's weights, as they are now, by their largest singular values; nothing without spectral normalisation.
    /// D has just been built or moved.
    pub(crate) fn normalise_discriminator(&mut self) -> candle_core::Result<()> {
        if let Some(spectral) = &self.spectral {
            (self.discriminator, self.frozen_discriminator) = spectral.renewed(&self.d.params)?;
        }
        Ok(())
    }

    /// A step of Stage-I's own game, whenever Stage-II's generator moves; nothing where Stage-I stays as it is.
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

    /// Moves Stage-I's generator down the gradient of Stage-II's loss; nothing where Stage-I stays as it is.
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
    /// Pictures that do not belong to the text, same shape (`residual` only, and not with
    /// `data.wrong = "none"`; `plain` shifts the text instead).
    pub wrong: Option<Tensor>,
    /// Embeddings `(batch, text_dim)` of the real pictures' captions.
    pub text: Tensor,
    /// For each picture the sample whose text makes its wrong pair, `(batch,)`, counted from the first of its part (`plain`
    /// with classes checked only).
    pub other_text: Option<Tensor>,
}

/// For each sample the next one in the batch, in a circle, of another class; the next one of any where there is none.
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
    /// For the fake that D is trained on.
    pub d: GeneratorNoise,
    /// For the fake that G is trained on (`residual`; `plain` uses one fake for both).
    pub g: GeneratorNoise,
}

impl StepNoise {
    /// The noise of `step` for a batch of `batch`.
    ///
    /// # Errors
    /// When the tensors cannot be made.
    pub fn draw(
        noise: Noise,
        step: u64,
        batch: usize,
        scales: (f64, f64),
        net: (&NetConfig, Epsilon, &Device),
    ) -> candle_core::Result<Self> {
        let samples: Vec<u64> = (0..batch as u64).collect();
        let draw = |streams| {
            GeneratorNoise::draw(noise, streams, step, &samples, net)?.scaled(scales.0, scales.1)
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
    /// Weight of the KL term; reference: `COEFF.KL` (2.0).
    pub kl: f64,
    /// The penalty on D's slope.
    pub r1: R1,
    /// Weight of the colour-consistency term of Stage-II; 0 as released.
    pub colour_consistency: f64,
    /// Weight of the matching loss; 0 as released.
    pub matching: f64,
    /// D's label of real pictures with their text; 1 as released.
    pub real_label: f64,
    /// What is done to pictures before D sees them; nothing as released.
    pub augment: DiffAugment,
    /// G moves every so many steps; 1 as released.
    pub d_steps: u64,
    /// Pictures of a part of the batch, which it is a multiple of; 0 takes the batch as a whole, as released.
    pub micro_batch: usize,
    /// When losses and gradients are looked at.
    pub looks: Looks,
}

impl StepConfig {
    /// The settings of `step` (counted from 0), with `decay` on the learning rates. Looks as it goes.
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

    /// Whether G moves in this step: in the last of every `d_steps`.
    #[must_use]
    pub const fn generator_moves(&self) -> bool {
        self.d_steps <= 1 || (self.step + 1).is_multiple_of(self.d_steps)
    }
}

/// Gradient norm and the optimiser's step. Looking as it goes, nothing is changed if a gradient is no number. Returns the
/// gradients.
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

/// G's loss from its adversarial part: KL, and colour consistency and matching where they are on, are added.
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
