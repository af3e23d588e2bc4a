//! G's loss.

use candle_core::Tensor;
use stackgan_core::Painted;
use stackgan_core::losses::colour_consistency;

use super::config::StepConfig;
use super::stats::StepStats;
use crate::Result;
use crate::matching::Matcher;

/// G's loss: its adversarial part plus KL, and plus colour consistency and matching if they are on.
pub(super) fn generator_loss(
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
