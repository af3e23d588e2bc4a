//! The step of the `residual` recipe. Source: TensorFlow release, `stageI/trainer.py` and `stageII/trainer.py`.

use candle_core::Tensor;
use candle_core::backprop::GradStore;
use stackgan_core::Mode;
use stackgan_core::losses::bce_with_logits;
use stackgan_core::residual::Discriminator;

use super::config::StepConfig;
use super::game::{Game, Player, Views};
use super::inputs::Inputs;
use super::loss::{Judged, generator_loss, with_projected};
use super::parts::{Gradients, Part, parts};
use super::stats::{Pairs, StepStats};
use crate::diff_augment::Pass;
use crate::projected::{Pictures, Wrong};
use crate::{Result, r1};

/// Takes one step of both players.
///
/// D sees real, wrong and fake pictures with the matching text of the sample, in three passes, each
/// with its own batch statistics. Then G is updated against the new D on a fake generated with
/// fresh noise. A batch without wrong pictures is treated as in the release with `B_WRONG` off: D
/// only tells real from fake, both with full weight.
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
    Ok(step_with_gradients(game, views, inputs, cfg)?.0)
}

/// As [`step`]. Also returns the gradients of G's loss, if G was updated.
pub(crate) fn step_with_gradients(
    game: &mut Game,
    views: &mut Views<Discriminator>,
    inputs: &Inputs,
    cfg: &StepConfig,
) -> Result<(StepStats, Option<GradStore>)> {
    let parts = parts(inputs, cfg)?;
    let mut stats = StepStats::of_parts(parts.len());
    step_discriminator(game, views, &parts, cfg, &mut stats)?;
    let moves = cfg.generator_moves();
    let grads = moves.then(|| step_generator(game, views, &parts, cfg, &mut stats)).transpose()?;
    Ok((stats, grads))
}

/// Takes D's step.
///
/// The memory for its gradient, three passes of D, is freed before the next part and before the
/// generator's step.
fn step_discriminator(
    game: &mut Game,
    views: &mut Views<Discriminator>,
    parts: &[Part],
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<()> {
    views.normalise(&game.d.params)?;
    let mut grads = Gradients::default();
    for part in parts {
        let Part { batch, noise, augment } = part;
        let (text, mode) = (&batch.text, Mode::Train);
        let real = augment.see(Pass::Real, &batch.real)?;
        let fake = game.generator.paint(text, &noise.d, mode)?.image.detach();
        let fake = augment.see(Pass::Fake, &fake)?;
        let wrong =
            batch.wrong.as_ref().map(|wrong| augment.see(Pass::Wrong, wrong)).transpose()?;
        let d = &views.trained;
        let (of_real, of_wrong, of_fake) = match &wrong {
            Some(wrong) => {
                let [real, wrong, fake] = d.logits_of([&real, wrong, &fake], text)?;
                (real, Some(wrong), fake)
            }
            None => {
                let [real, fake] = d.logits_of([&real, &fake], text)?;
                (real, None, fake)
            }
        };
        let d_real = bce_with_logits(&of_real, cfg.knobs.real_label)?;
        let against = |logits: &Tensor| bce_with_logits(logits, 0.0);
        let d_wrong = of_wrong.as_ref().map(against).transpose()?;
        let d_fake = against(&of_fake)?;
        let mut loss = match &d_wrong {
            Some(d_wrong) => (&d_real + ((d_wrong + &d_fake)? * 0.5)?)?,
            None => (&d_real + &d_fake)?,
        };
        let mut groups = vec![(Pairs::Real, &d_real, &of_real)];
        groups.extend(d_wrong.iter().zip(&of_wrong).map(|(loss, of)| (Pairs::Wrong, loss, of)));
        groups.push((Pairs::Fake, &d_fake, &of_fake));
        stats.discriminator(&loss, &groups)?;
        if let Some(r1) = views.r1(&real, |d, x| d.logits(x, text, mode), cfg)? {
            stats.push_part(r1::NAME, &r1.value)?;
            loss = (loss + r1.term)?;
        }
        let pairs = wrong.as_ref().map_or(Wrong::None, Wrong::Pictures);
        let shown = Pictures { real: &real, wrong: pairs, fake: &fake };
        loss = with_projected(loss, shown, part, game, cfg, stats)?;
        grads.add(("d_loss", &loss), cfg, stats)?;
    }
    game.descend(Player::D, grads, cfg, stats)?;
    Ok(())
}

fn step_generator(
    game: &mut Game,
    views: &mut Views<Discriminator>,
    parts: &[Part],
    cfg: &StepConfig,
    stats: &mut StepStats,
) -> Result<GradStore> {
    views.normalise(&game.d.params)?;
    let mut grads = Gradients::default();
    for Part { batch, noise, augment } in parts {
        let (text, mode) = (&batch.text, Mode::Train);
        let painted = game.generator.paint(text, &noise.g, mode)?;
        let seen = augment.see(Pass::Generator, &painted.image)?;
        let logits = views.frozen.logits(&seen, text, mode)?;
        let adversarial = bce_with_logits(&logits, 1.0)?;
        let noise = (&noise.g, &noise.d.z);
        let judged = Judged { painted: &painted, seen: &seen, text, noise };
        let loss = generator_loss(judged, adversarial, game, cfg, stats)?;
        grads.add(("g_loss", &loss), cfg, stats)?;
    }
    game.descend(Player::G, grads, cfg, stats)
}
