//! The step of the `plain` recipe. Source: PyTorch release, `code/trainer.py` and `code/miscc/utils.py`.

use candle_core::Tensor;
use stackgan_core::losses::bce_with_logits;
use stackgan_core::plain::Discriminator;
use stackgan_core::{Mode, Painted};

use super::config::StepConfig;
use super::game::{Game, Player, Views};
use super::inputs::{Batch, Inputs};
use super::loss::{Judged, generator_loss, with_projected};
use super::parts::{Gradients, Part, parts};
use super::stats::{Pairs, StepStats};
use crate::diff_augment::Pass;
use crate::projected::{Pictures, Wrong};
use crate::{Result, r1};

/// Takes one step of both players, with one fake for both.
///
/// D sees `mu` of G's conditioning augmentation, detached. A wrong pair is a picture's features
/// with the next sample's `mu`, so a batch of B gives B - 1 of them (B if classes are checked).
///
/// # Errors
/// [`crate::Error::NonFinite`] before anything of the player concerned is changed, if values are
/// checked as the step goes; tensor errors.
pub fn step(
    game: &mut Game,
    views: &mut Views<Discriminator>,
    inputs: &Inputs,
    cfg: &StepConfig,
) -> Result<StepStats> {
    let parts = parts(inputs, cfg)?;
    let mut stats = StepStats::of_parts(parts.len());
    let fake = match parts.as_slice() {
        [whole] => Some(paint(game, whole)?),
        // Keeping the fakes of all parts would need the memory of the whole batch: generate them
        // twice.
        _ => None,
    };
    let shown = Shown { parts: &parts, fake: fake.as_ref() };
    step_discriminator(game, views, &shown, cfg, &mut stats)?;
    if cfg.generator_moves() {
        step_generator(game, views, &shown, cfg, &mut stats)?;
    }
    Ok(stats)
}

/// The parts of a batch, and the fake of a batch in one part.
struct Shown<'a> {
    parts: &'a [Part],
    fake: Option<&'a Painted>,
}

impl Shown<'_> {
    /// The fake of a part.
    fn fake(&self, game: &Game, part: &Part) -> candle_core::Result<Painted> {
        self.fake.map_or_else(|| paint(game, part), |fake| Ok(fake.clone()))
    }
}

fn paint(game: &Game, part: &Part) -> candle_core::Result<Painted> {
    game.generator.paint(&part.batch.text, &part.noise.d, Mode::Train)
}

/// Takes D's step.
///
/// The memory for its gradient, two passes of D, is freed before the next part and before the
/// generator's step.
fn step_discriminator(
    game: &mut Game,
    views: &mut Views<Discriminator>,
    shown: &Shown<'_>,
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<()> {
    views.normalise(&game.d.params)?;
    let (mut grads, mode) = (Gradients::default(), Mode::Train);
    for part in shown.parts {
        let painted = shown.fake(game, part)?;
        let (fake, mu) = (painted.image.detach(), painted.conditioning.mu.detach());
        drop(painted);
        let real_pictures = part.augment.see(Pass::Real, &part.batch.real)?;
        let fake_pictures = part.augment.see(Pass::Fake, &fake)?;
        let d = &views.trained;
        let [real, fake] = d.features_of([&real_pictures, &fake_pictures])?;
        let real_logits = d.conditional_logits(&real, &mu, mode)?;
        let (pictures, texts) = wrong_pairs(&real, &mu, &part.batch)?;
        let wrong_logits = d.conditional_logits(&pictures, &texts, mode)?;
        let fake_logits = d.conditional_logits(&fake, &mu, mode)?;
        let mut d_real = bce_with_logits(&real_logits, cfg.knobs.real_label)?;
        let d_wrong = bce_with_logits(&wrong_logits, 0.0)?;
        let mut d_fake = bce_with_logits(&fake_logits, 0.0)?;
        let d_loss = match (d.unconditional_logits(&real)?, d.unconditional_logits(&fake)?) {
            (Some(real), Some(fake)) => {
                let real_alone = bce_with_logits(&real, cfg.knobs.real_label)?;
                let fake_alone = bce_with_logits(&fake, 0.0)?;
                let against = (((&d_fake + &d_wrong)? + &fake_alone)? / 3.0)?;
                d_real = mean(&d_real, &real_alone)?;
                d_fake = mean(&d_fake, &fake_alone)?;
                (&d_real + against)?
            }
            _ => (&d_real + ((&d_fake + &d_wrong)? * 0.5)?)?,
        };
        let real_pairs = (Pairs::Real, &d_real, &real_logits);
        let wrong_pairs = (Pairs::Wrong, &d_wrong, &wrong_logits);
        let fake_pairs = (Pairs::Fake, &d_fake, &fake_logits);
        stats.discriminator(&d_loss, &[real_pairs, wrong_pairs, fake_pairs])?;
        let mut loss = d_loss;
        let logits =
            |d: &Discriminator, x: &Tensor| d.conditional_logits(&d.features(x, mode)?, &mu, mode);
        if let Some(r1) = views.r1(&real_pictures, logits, cfg)? {
            stats.push_part(r1::NAME, &r1.value)?;
            loss = (loss + r1.term)?;
        }
        let seen = Pictures { real: &real_pictures, wrong: Wrong::Texts, fake: &fake_pictures };
        loss = with_projected(loss, seen, part, game, cfg, stats)?;
        grads.add(("d_loss", &loss), cfg, stats)?;
    }
    game.descend(Player::D, grads, cfg, stats)?;
    Ok(())
}

/// Takes G's step on the same fake, through the updated discriminator.
fn step_generator(
    game: &mut Game,
    views: &mut Views<Discriminator>,
    shown: &Shown<'_>,
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<()> {
    views.normalise(&game.d.params)?;
    let (mut grads, mode) = (Gradients::default(), Mode::Train);
    for part in shown.parts {
        let painted = shown.fake(game, part)?;
        let (mu, d) = (painted.conditioning.mu.detach(), &views.frozen);
        let seen = part.augment.see(Pass::Generator, &painted.image)?;
        let features = d.features(&seen, mode)?;
        let mut adversarial = bce_with_logits(&d.conditional_logits(&features, &mu, mode)?, 1.0)?;
        if let Some(alone) = d.unconditional_logits(&features)? {
            adversarial = (adversarial + bce_with_logits(&alone, 1.0)?)?; // summed, not averaged
        }
        let (text, noise) = (&part.batch.text, (&part.noise.d, &part.noise.g.z));
        let judged = Judged { painted: &painted, seen: &seen, text, noise };
        let loss = generator_loss(judged, adversarial, game, cfg, stats)?;
        grads.add(("g_loss", &loss), cfg, stats)?;
    }
    game.descend(Player::G, grads, cfg, stats)?;
    Ok(())
}

/// Features of real pictures and codes of texts that do not match them.
///
/// Each picture is paired with the next one's text, and the last picture is dropped. If classes are
/// checked, each picture is paired with the text that was chosen for it.
fn wrong_pairs(
    features: &Tensor,
    mu: &Tensor,
    batch: &Batch,
) -> candle_core::Result<(Tensor, Tensor)> {
    match &batch.other_text {
        Some(chosen) => Ok((features.clone(), mu.index_select(chosen, 0)?)),
        None => {
            let pairs = mu.dim(0)? - 1;
            Ok((features.narrow(0, 0, pairs)?, mu.narrow(0, 1, pairs)?))
        }
    }
}

fn mean(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    (a + b)? * 0.5
}
