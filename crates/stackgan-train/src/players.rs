//! The two players of a recipe and stage, built from a configuration.

use candle_core::{Device, Result};
use stackgan_core::noise::Noise;
use stackgan_core::{Generator, NetConfig, Params, Recipe, Scope, plain, residual};

use crate::adam::Adam;
use crate::config::{Stage, TrainConfig};
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
    /// The TensorFlow release's game.
    Residual(Box<Adversaries<residual::Discriminator>>),
    /// The PyTorch release's game.
    Plain(Box<Adversaries<plain::Discriminator>>),
}

/// Builds fresh players. Stage-II is built over `stage1`, whose weights stay as they are (but with
/// `knobs.finetune_stage1`) and whose sizes may be others.
///
/// # Errors
/// When the tensors of `stage1` do not fit, or Stage-II is asked for without.
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

/// Stage-I under Stage-II: frozen, or in reach of Stage-II's gradient.
fn low_scope<'a>(cfg: &TrainConfig, stage1: &'a Params) -> Scope<'a> {
    if cfg.knobs.finetune_stage1 > 0.0 { stage1.trained() } else { stage1.frozen() }
}

impl Players {
    /// The same players from where `start` says.
    ///
    /// # Errors
    /// [`crate::Error::Config`] when what is there does not fit.
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

    /// The same players, G's pictures to be matched with their captions.
    #[must_use]
    pub(crate) fn matched(mut self, matcher: Option<Matcher>) -> Self {
        match &mut self {
            Self::Residual(players) => players.matcher = matcher,
            Self::Plain(players) => players.matcher = matcher,
        }
        self
    }

    /// What matches them.
    #[must_use]
    pub(crate) const fn matcher(&self) -> Option<&Matcher> {
        match self {
            Self::Residual(players) => players.matcher.as_ref(),
            Self::Plain(players) => players.matcher.as_ref(),
        }
    }

    /// One step of both.
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
                let low = players.tune_stage1(batch, cfg)?;
                Ok(residual_step(players, batch, noise, cfg)?.with_stage1(low))
            }
            Self::Plain(players) => plain_step(players, batch, noise, cfg),
        }
    }

    /// Stage-I's game under Stage-II, where it is tuned.
    #[must_use]
    pub const fn tuned(&self) -> Option<&Tuned> {
        match self {
            Self::Residual(players) => players.tuned.as_ref(),
            Self::Plain(_) => None,
        }
    }

    /// The same, to be restored.
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

    /// The first variable that a held step has made no number, G's before D's; the value.
    pub(crate) fn first_bad(&self) -> Option<(String, f64)> {
        let named = |(prefix, player): (&str, &Optimised)| {
            let (name, value) = player.adam.first_bad()?;
            Some((format!("{prefix}{name}"), value))
        };
        [("g.", self.g()), ("d.", self.d())].into_iter().find_map(named)
    }

    /// Whether a step asks nothing of the host: none of the knobs does that need the weights or the gradients there.
    pub(crate) fn is_plain_game(&self) -> bool {
        let plain = match self {
            Self::Residual(players) => players.spectral.is_none() && players.tuned.is_none(),
            Self::Plain(players) => players.spectral.is_none() && players.tuned.is_none(),
        };
        plain && !self.g().adam.is_limited() && !self.d().adam.is_limited()
    }

    /// Sends both optimisers' constants for the next step ahead of it.
    pub(crate) fn prepare(&mut self, cfg: &StepConfig) -> Result<()> {
        let [g, d] = self.both_mut();
        g.adam.prepare(cfg.lr_g)?;
        d.adam.prepare(cfg.lr_d)
    }

    /// Takes back [`Self::prepare`].
    pub(crate) fn unprepare(&mut self) {
        for player in self.both_mut() {
            player.adam.rewind(player.adam.steps().saturating_sub(1));
        }
    }

    /// Says that the prepared step has been replayed.
    pub(crate) fn prepared_was_used(&mut self) {
        for player in self.both_mut() {
            player.adam.prepared_was_used();
        }
    }

    /// Both, to be restored.
    #[must_use]
    pub const fn both_mut(&mut self) -> [&mut Optimised; 2] {
        match self {
            Self::Residual(players) => [&mut players.g, &mut players.d],
            Self::Plain(players) => [&mut players.g, &mut players.d],
        }
    }
}
