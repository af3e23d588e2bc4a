//! One step of training: the discriminator's, then the generator's. Each recipe has one function.

mod game;
mod inputs;
mod parts;
mod plain;
mod residual;
mod stats;

pub use game::{Game, Optimised, Pair};
pub use inputs::{Batch, Inputs, StepNoise, next_of_other_class};
pub use plain::step as plain_step;
pub use residual::step as residual_step;
pub use stats::{Looks, StepStats};

use candle_core::Tensor;
use candle_core::backprop::GradStore;
use stackgan_core::Painted;
use stackgan_core::losses::colour_consistency;
use stackgan_core::noise::Noise;

use crate::Result;
use crate::config::{LossConfig, TrainConfig};
use crate::diff_augment::DiffAugment;
use crate::knobs::Knobs;
use crate::matching::Matcher;
use game::Player;
use parts::Gradients;

/// The settings of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepConfig {
    /// The step, counted from 0.
    pub step: u64,
    /// Learning rate of G.
    pub lr_g: f64,
    /// Learning rate of D.
    pub lr_d: f64,
    /// Weights of the loss terms. The KL term's is 0 without conditioning augmentation.
    pub loss: LossConfig,
    /// Options that the releases do not use.
    pub knobs: Knobs,
    /// The noise of augmentations.
    pub noise: Noise,
    /// When losses and gradients are checked.
    pub looks: Looks,
}

impl StepConfig {
    /// The settings of `step` (counted from 0), with the factor `decay` on the learning rates.
    /// Values are checked as the step goes.
    #[must_use]
    pub fn of(cfg: &TrainConfig, step: u64, decay: f64) -> Self {
        Self {
            step,
            lr_g: cfg.optim.lr_g * decay,
            lr_d: cfg.optim.lr_d * decay,
            loss: LossConfig { kl: cfg.kl(), ..cfg.loss },
            knobs: cfg.knobs,
            noise: Noise::new(cfg.seed),
            looks: Looks::AsItGoes,
        }
    }

    /// Whether G is updated in this step: the last of every `d_steps`.
    #[must_use]
    pub const fn generator_moves(&self) -> bool {
        self.knobs.d_steps <= 1 || (self.step + 1).is_multiple_of(self.knobs.d_steps)
    }

    /// The augmentation of a part of the batch whose first sample is `first`.
    const fn augment(&self, first: usize) -> DiffAugment {
        let Self { step, noise, .. } = *self;
        DiffAugment { policy: self.knobs.diff_augment, noise, step, first }
    }
}

/// Computes the gradient norm of a player and takes the step of its optimiser. Returns the
/// gradients.
///
/// If values are checked as the step goes, nothing is changed when a gradient is not finite.
fn descend(
    game: &mut Game,
    player: Player,
    grads: Gradients,
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<GradStore> {
    let (grads, name) = (grads.sum()?, player.norm());
    let adam = match player {
        Player::G => &mut game.g.adam,
        Player::D => &mut game.d.adam,
    };
    let norm = adam.gradient_norm(&grads)?;
    if let Err(error) = stats.check(name, &norm, cfg) {
        return Err(error.naming(name, adam.first_non_finite(&grads)?));
    }
    stats.push(name, &norm);
    adam.step(&grads, player.lr(cfg))?;
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
    let mut loss = (adversarial + (kl * cfg.loss.kl)?)?;
    if let (Some(low), true) = (&painted.low, cfg.loss.colour_consistency > 0.0) {
        let colour = colour_consistency(&painted.image, low)?;
        stats.push_part("colour", &colour)?;
        loss = (loss + (colour * cfg.loss.colour_consistency)?)?;
    }
    if let (Some(matcher), true) = (matcher, cfg.loss.matching > 0.0) {
        let matching = matcher.loss(&painted.image, text)?;
        stats.push_part("matching", &matching)?;
        loss = (loss + (matching * cfg.loss.matching)?)?;
    }
    stats.push_part("g_loss", &loss)?;
    Ok(loss)
}
