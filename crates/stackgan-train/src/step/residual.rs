//! The step of the `residual` recipe. Source: TensorFlow release, `stageI/trainer.py` and `stageII/trainer.py`.

use stackgan_core::Mode;
use stackgan_core::losses::bce_with_logits;
use stackgan_core::residual::Discriminator;

use super::{Adversaries, Pictures, StepConfig, StepNoise, StepStats, descend, descend_generator};
use crate::Result;
use crate::diff_augment::Pass;

/// D sees real, wrong and fake pictures with the right text, in three passes, each with its own batch statistics; then
/// G is stepped against the updated D on a fake painted with fresh noise.
///
/// # Errors
/// [`crate::Error::NonFinite`] before anything is changed by the player concerned, where numbers are looked at as it goes;
/// tensor errors.
pub fn step(
    players: &mut Adversaries<Discriminator>,
    batch: &Pictures,
    noise: &StepNoise,
    cfg: &StepConfig,
) -> Result<StepStats> {
    let mut stats = StepStats::default();
    step_discriminator(players, batch, noise, cfg, &mut stats)?;
    if cfg.generator_moves() {
        step_generator(players, batch, noise, cfg, &mut stats)?;
    }
    Ok(stats)
}

/// What it keeps for its gradient, three passes of D, is gone before the generator's step.
fn step_discriminator(
    players: &mut Adversaries<Discriminator>,
    batch: &Pictures,
    noise: &StepNoise,
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<()> {
    let (text, mode) = (&batch.text, Mode::Train);
    let Some(wrong) = &batch.wrong else {
        return Err(
            candle_core::Error::Msg("the residual recipe needs wrong pictures".to_owned()).into()
        );
    };

    players.normalise_discriminator()?;
    let real = cfg.augment.see(Pass::Real, &batch.real)?;
    let wrong = cfg.augment.see(Pass::Wrong, wrong)?;
    let fake = players.generator.paint(text, &noise.d, mode)?.image.detach();
    let fake = cfg.augment.see(Pass::Fake, &fake)?;
    let d = &players.discriminator;
    let [real_logits, wrong_logits, fake_logits] = d.logits_of([&real, &wrong, &fake], text)?;
    let d_real = bce_with_logits(&real_logits, cfg.real_label)?;
    let d_wrong = bce_with_logits(&wrong_logits, 0.0)?;
    let d_fake = bce_with_logits(&fake_logits, 0.0)?;
    let d_loss = (&d_real + ((&d_wrong + &d_fake)? * 0.5)?)?;
    stats.discriminator(
        [&d_loss, &d_real, &d_wrong, &d_fake],
        [&real_logits, &wrong_logits, &fake_logits],
    )?;
    let mut loss = d_loss;
    if cfg.r1.due(cfg.step) {
        let frozen = &players.frozen_discriminator;
        let (term, value) =
            cfg.r1.term(&real, |x| frozen.logits(x, text, mode), |x| d.logits(x, text, mode))?;
        stats.push("r1", &value);
        loss = (loss + term)?;
    }
    descend(&mut players.d, &loss, (cfg, cfg.lr_d), ("d_loss", "d_grad"), stats)?;
    Ok(())
}

fn step_generator(
    players: &mut Adversaries<Discriminator>,
    batch: &Pictures,
    noise: &StepNoise,
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<()> {
    let (text, mode) = (&batch.text, Mode::Train);
    players.normalise_discriminator()?;
    let painted = players.generator.paint(text, &noise.g, mode)?;
    let seen = cfg.augment.see(Pass::Generator, &painted.image)?;
    let logits = players.frozen_discriminator.logits(&seen, text, mode)?;
    let adversarial = bce_with_logits(&logits, 1.0)?;
    let grads = descend_generator(&mut players.g, &painted, adversarial, cfg, stats)?;
    players.fine_tune_stage1(&grads, cfg, stats)
}
