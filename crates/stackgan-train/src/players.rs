//! The two players of a recipe and stage, built from a configuration.

use candle_core::{Device, Result};
use stackgan_core::archive::Archive;
use stackgan_core::noise::Noise;
use stackgan_core::{Generator, NetConfig, Params, Recipe, Scope, Stage, plain, residual};

use crate::adam::Adam;
use crate::config::TrainConfig;
use crate::fine_tune::Tuned;
use crate::matching::Matcher;
use crate::spectral::{Make, Spectral};
use crate::start::Start;
use crate::step::{
    Adversaries, Optimised, Pictures, StepConfig, StepNoise, StepStats, plain_step, residual_step,
};

/// The players, by recipe.
#[derive(Debug)]
pub enum Players {
    /// The networks of the TensorFlow release.
    Residual(Box<Adversaries<residual::Discriminator>>),
    /// The networks of the PyTorch release.
    Plain(Box<Adversaries<plain::Discriminator>>),
}

/// Builds players with fresh weights. Stage-II is built on `stage1`.
///
/// The weights of `stage1` stay fixed, except with `knobs.finetune_stage1`. Its sizes may differ
/// from those of `cfg`.
///
/// # Errors
/// When the tensors of `stage1` do not match, or when Stage-II is requested without a Stage-I.
pub fn players(
    cfg: &TrainConfig,
    stage1: Option<(&Params, &NetConfig)>,
    device: &Device,
) -> Result<Players> {
    let noise = Noise::new(cfg.seed);
    let n = cfg.stage.number();
    let g = Params::fresh(noise, &format!("g{n}"), device);
    let d = Params::fresh(noise, &format!("d{n}"), device);
    let (net, statistics) = (&cfg.net, cfg.noise.stage1_statistics);
    let low = || {
        stage1.ok_or_else(|| candle_core::Error::Msg("Stage-II needs a Stage-I model".to_owned()))
    };
    macro_rules! build {
        ($recipe:ident, $variant:ident) => {{
            let generator: Box<dyn Generator> = match cfg.stage {
                Stage::One => Box::new($recipe::Stage1Generator::new(net, &g.trained())?),
                Stage::Two => {
                    let (params, low_net) = low()?;
                    let low = $recipe::Stage1Generator::new(low_net, &low_scope(cfg, params))?;
                    Box::new($recipe::Stage2Generator::new(net, low, statistics, &g.trained())?)
                }
            };
            let make: Make<$recipe::Discriminator> = match cfg.stage {
                Stage::One => $recipe::Discriminator::stage1,
                Stage::Two => $recipe::Discriminator::stage2,
            };
            let (discriminator, frozen_discriminator) =
                (make(net, &d.trained())?, make(net, &d.frozen())?);
            let optimised = |params: Params, limit| -> Result<Optimised> {
                Ok(Optimised { adam: Adam::new(&params, cfg.betas())?.within(limit), params })
            };
            let (g, d) = (optimised(g, cfg.knobs.clip_g)?, optimised(d, cfg.knobs.clip_d)?);
            let spectral = cfg
                .knobs
                .spectral_norm
                .then(|| Spectral::over(&d.params, net, make))
                .transpose()?;
            Players::$variant(Box::new(Adversaries {
                generator,
                discriminator,
                frozen_discriminator,
                g,
                d,
                spectral,
                tuned: None,
                matcher: None,
            }))
        }};
    }
    Ok(match net.recipe {
        Recipe::Residual => build!(residual, Residual),
        Recipe::Plain => build!(plain, Plain),
    })
}

/// The scope of Stage-I under Stage-II: frozen, or trained if it is fine-tuned.
fn low_scope<'a>(cfg: &TrainConfig, stage1: &'a Params) -> Scope<'a> {
    if cfg.knobs.finetune_stage1 > 0.0 { stage1.trained() } else { stage1.frozen() }
}

impl Players {
    /// Loads the starting weights that `start` gives.
    ///
    /// # Errors
    /// [`crate::Error::Config`] when these weights do not match.
    pub(crate) fn beginning(
        mut self,
        start: &Start,
        cfg: &TrainConfig,
        stage1: Option<(&Params, &NetConfig)>,
    ) -> crate::Result<Self> {
        if let Some(weights) = start.generator(cfg)? {
            self.g().params.set(&weights)?;
        }
        if let (Self::Residual(players), Some(low)) = (&mut self, stage1)
            && cfg.knobs.finetune_stage1 > 0.0
        {
            let device = players.g.params.device().clone();
            players.tuned = Some(Tuned::new(cfg, low, start.discriminator()?, &device)?);
        }
        Ok(self)
    }

    /// Sets the matcher that compares G's pictures with their captions.
    #[must_use]
    pub(crate) fn matched(mut self, matcher: Option<Matcher>) -> Self {
        match &mut self {
            Self::Residual(players) => players.matcher = matcher,
            Self::Plain(players) => players.matcher = matcher,
        }
        self
    }

    /// The matcher, if there is one.
    #[must_use]
    pub(crate) const fn matcher(&self) -> Option<&Matcher> {
        match self {
            Self::Residual(players) => players.matcher.as_ref(),
            Self::Plain(players) => players.matcher.as_ref(),
        }
    }

    /// The state to store in a checkpoint: networks, optimisers, and a tuned Stage-I's. The tensors
    /// are not copied, so the next step changes them.
    ///
    /// # Errors
    /// When memory for the copies of the tuned Stage-I cannot be allocated.
    pub(crate) fn state(&self) -> crate::Result<Archive> {
        let mut archive = Archive::default();
        for (prefix, player) in [("g.", self.g()), ("d.", self.d())] {
            archive.extend(prefix, player.params.values());
            archive.extend(&format!("adam.{prefix}"), player.adam.state());
        }
        if let Some(tuned) = self.tuned() {
            archive.extend("tune.", tuned.state()?);
        }
        Ok(archive)
    }

    /// Restores what [`Self::state`] returned after this many steps of G's and D's optimisers.
    ///
    /// # Errors
    /// Names the first tensor that is missing or of the wrong shape.
    pub(crate) fn restore(
        &mut self,
        archive: &Archive,
        (of_g, of_d): (u64, u64),
    ) -> crate::Result<()> {
        let [g, d] = self.both_mut();
        for (player, prefix, steps) in [(g, "g.", of_g), (d, "d.", of_d)] {
            player.params.set(&archive.part(prefix))?;
            player.adam.restore(&archive.part(&format!("adam.{prefix}")), steps)?;
        }
        match self.tuned_mut() {
            Some(tuned) => tuned.restore(&archive.part("tune."), of_g),
            None => Ok(()),
        }
    }

    /// Takes one step of both players.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] before anything is changed; tensor errors.
    pub fn step(
        &mut self,
        batch: &Pictures,
        noise: &StepNoise,
        cfg: &StepConfig,
    ) -> crate::Result<StepStats> {
        match self {
            Self::Residual(players) => {
                let stats = residual_step(players, batch, noise, cfg)?;
                Ok(stats.with_stage1(players.tune_stage1(batch, cfg)?))
            }
            Self::Plain(players) => plain_step(players, batch, noise, cfg),
        }
    }

    /// The fine-tuning of Stage-I under Stage-II, if it is on.
    #[must_use]
    pub const fn tuned(&self) -> Option<&Tuned> {
        match self {
            Self::Residual(players) => players.tuned.as_ref(),
            Self::Plain(_) => None,
        }
    }

    /// As [`Self::tuned`], mutable, to restore its state.
    #[must_use]
    pub const fn tuned_mut(&mut self) -> Option<&mut Tuned> {
        match self {
            Self::Residual(players) => players.tuned.as_mut(),
            Self::Plain(_) => None,
        }
    }

    /// G's variables and optimiser.
    #[must_use]
    pub const fn g(&self) -> &Optimised {
        match self {
            Self::Residual(players) => &players.g,
            Self::Plain(players) => &players.g,
        }
    }

    /// D's variables and optimiser.
    #[must_use]
    pub const fn d(&self) -> &Optimised {
        match self {
            Self::Residual(players) => &players.d,
            Self::Plain(players) => &players.d,
        }
    }

    /// The name and value of the first variable that a held step made non-finite; G's come before
    /// D's.
    pub(crate) fn first_bad(&self) -> Option<(String, f64)> {
        let named = |(prefix, player): (&str, &Optimised)| {
            let (name, value) = player.adam.first_bad()?;
            Some((format!("{prefix}{name}"), value))
        };
        [("g.", self.g()), ("d.", self.d())].into_iter().find_map(named)
    }

    /// Whether a step needs nothing from the host, that is, whether no knob is on that reads
    /// weights or gradients there.
    pub(crate) fn is_plain_game(&self) -> bool {
        let plain = match self {
            Self::Residual(players) => players.spectral.is_none() && players.tuned.is_none(),
            Self::Plain(players) => players.spectral.is_none() && players.tuned.is_none(),
        };
        plain && !self.g().adam.is_limited() && !self.d().adam.is_limited()
    }

    /// Sends the constants of both optimisers' next steps to the device ahead of the step.
    pub(crate) fn prepare(&mut self, cfg: &StepConfig) -> Result<()> {
        let [g, d] = self.both_mut();
        g.adam.prepare(cfg.lr_g)?;
        d.adam.prepare(cfg.lr_d)
    }

    /// Undoes [`Self::prepare`].
    pub(crate) fn unprepare(&mut self) {
        for player in self.both_mut() {
            player.adam.rewind(player.adam.steps().saturating_sub(1));
        }
    }

    /// Records that the prepared step was replayed.
    pub(crate) fn prepared_was_used(&mut self) {
        for player in self.both_mut() {
            player.adam.prepared_was_used();
        }
    }

    /// Both players, mutable, to restore their state.
    #[must_use]
    pub const fn both_mut(&mut self) -> [&mut Optimised; 2] {
        match self {
            Self::Residual(players) => [&mut players.g, &mut players.d],
            Self::Plain(players) => [&mut players.g, &mut players.d],
        }
    }
}
