//! G's loss, and what a second discriminator adds to D's.

use candle_core::Tensor;
use stackgan_core::generator_noise::GeneratorNoise;
use stackgan_core::losses::{colour_consistency, mode_seeking};
use stackgan_core::{Mode, Painted};

use super::config::StepConfig;
use super::game::Game;
use super::parts::Part;
use super::stats::StepStats;
use crate::Result;
use crate::projected::Pictures;

/// What G is judged by besides D's logits.
pub(super) struct Judged<'a> {
    pub(super) painted: &'a Painted,
    /// The picture as D sees it.
    pub(super) seen: &'a Tensor,
    pub(super) text: &'a Tensor,
    /// The noise that it was painted from, and another `z` for the same text.
    pub(super) noise: (&'a GeneratorNoise, &'a Tensor),
}

/// G's loss: its adversarial part plus KL, and plus the second discriminator's, mode seeking, colour
/// consistency and matching if they are on.
pub(super) fn generator_loss(
    Judged { painted, seen, text, noise: (noise, other_z) }: Judged<'_>,
    adversarial: Tensor,
    game: &Game,
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<Tensor> {
    let kl = painted.conditioning.kl()?;
    stats.push_part("g_adv", &adversarial)?;
    stats.push_part("kl", &kl)?;
    stats.push_part("sigma", &painted.conditioning.mean_sigma()?)?;
    let mut loss = (adversarial + (kl * cfg.loss.kl)?)?;
    if let Some(projected) = &game.projected {
        let second = projected.of_g(seen, text)?;
        stats.push_part("projected_g", &second)?;
        loss = (loss + (second * cfg.loss.projected)?)?;
    }
    if cfg.loss.mode_seeking > 0.0 {
        let other = GeneratorNoise { z: other_z.clone(), ..noise.clone() };
        let other = game.generator.paint(text, &other, Mode::Train)?;
        let seeking = mode_seeking([&painted.image, &other.image], [&noise.z, other_z])?;
        stats.push_part("mode_seeking", &seeking)?;
        loss = (loss + (seeking * cfg.loss.mode_seeking)?)?;
    }
    if let (Some(low), true) = (&painted.low, cfg.loss.colour_consistency > 0.0) {
        let colour = colour_consistency(&painted.image, low)?;
        stats.push_part("colour", &colour)?;
        loss = (loss + (colour * cfg.loss.colour_consistency)?)?;
    }
    if let (Some(matcher), true) = (&game.matcher, cfg.loss.matching > 0.0) {
        let matching = matcher.loss(&painted.image, text)?;
        stats.push_part("matching", &matching)?;
        loss = (loss + (matching * cfg.loss.matching)?)?;
    }
    stats.push_part("g_loss", &loss)?;
    Ok(loss)
}

/// D's loss with that of the second discriminator, if it plays along.
pub(super) fn with_projected(
    loss: Tensor,
    shown: Pictures<'_>,
    part: &Part,
    game: &Game,
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<Tensor> {
    let Some(projected) = &game.projected else { return Ok(loss) };
    let second = projected.of_d(shown, &part.batch, cfg.knobs.real_label)?;
    stats.push_part("projected_d", &second)?;
    Ok((loss + (second * cfg.loss.projected)?)?)
}
