//! The two players of a recipe and stage, built from a configuration.

use candle_core::{Device, Result, Var};
use stackgan_core::archive::{Archive, prefixed};
use stackgan_core::generators::{self, Low};
use stackgan_core::noise::Noise;
use stackgan_core::{Generator, NetConfig, Params, Recipe, Stage, plain, residual};

use crate::adam::Adam;
use crate::config::TrainConfig;
use crate::fine_tune::Tuned;
use crate::pretrained::Pretrained;
use crate::projected::Projected;
use crate::spectral::{Make, Spectral};
use crate::start::Start;
use crate::step::{
    Game, Inputs, Optimised, StepConfig, StepStats, Views, plain_step, residual_step,
};

/// The players.
#[derive(Debug)]
pub struct Players {
    /// G, and the variables and optimisers of both.
    pub game: Game,
    /// D.
    pub discriminator: AnyDiscriminator,
    /// Fine-tuning of Stage-I under Stage-II, if it is on. Only in `residual`.
    pub(crate) tuned: Option<Box<Tuned>>,
}

/// The discriminator of either recipe.
#[derive(Debug)]
pub enum AnyDiscriminator {
    /// That of the TensorFlow release.
    Residual(Box<Views<residual::Discriminator>>),
    /// That of the PyTorch release.
    Plain(Box<Views<plain::Discriminator>>),
}

/// Builds G on its variables, and on `stage1` if it is Stage-II's.
fn generator(
    cfg: &TrainConfig,
    stage1: Option<(&Params, &NetConfig)>,
    g: &Params,
) -> Result<Box<dyn Generator>> {
    match (cfg.stage, stage1) {
        (Stage::One, _) => generators::stage1(&cfg.net, &g.trained()),
        (Stage::Two, Some((params, net))) => {
            let tuned = cfg.knobs.finetune_stage1 > 0.0;
            let scope = if tuned { params.trained() } else { params.frozen() };
            let low = Low { net, scope: &scope, statistics: cfg.noise.stage1_statistics };
            generators::stage2(&cfg.net, &low, &g.trained())
        }
        (Stage::Two, None) => candle_core::bail!("Stage-II needs a Stage-I model"),
    }
}

/// Builds both views of D on its variables.
fn views<D>(cfg: &TrainConfig, params: &Params, make: Make<D>) -> Result<Box<Views<D>>> {
    let (trained, frozen) = (make(&cfg.net, &params.trained())?, make(&cfg.net, &params.frozen())?);
    let spectral = cfg.knobs.spectral_norm;
    let spectral = spectral.then(|| Spectral::over(params, &cfg.net, make)).transpose()?;
    Ok(Box::new(Views { trained, frozen, spectral }))
}

impl Players {
    /// Builds players with the weights of `start`, and fresh ones where it has none. Stage-II is
    /// built on `stage1`; those of `pretrained` whose losses have a weight judge along.
    ///
    /// The weights of `stage1` stay fixed, except with `knobs.finetune_stage1`. Its `gf`,
    /// `df`, `residual_blocks` and `channel_floor` may differ from those of `cfg`.
    ///
    /// # Errors
    /// When the tensors of `stage1` or `start` do not match, or when Stage-II is requested without a
    /// Stage-I.
    pub fn new(
        cfg: &TrainConfig,
        stage1: Option<(&Params, &NetConfig)>,
        start: &Start,
        pretrained: Pretrained,
        device: &Device,
    ) -> crate::Result<Self> {
        let noise = Noise::new(cfg.seed);
        let g = Params::fresh(noise, &format!("g{}", cfg.stage), device);
        let d = Params::fresh(noise, &format!("d{}", cfg.stage), device);
        let generator = generator(cfg, stage1, &g)?;
        if let Some(weights) = start.generator(cfg)? {
            g.set(&weights)?;
        }
        let discriminator = match (cfg.net.recipe, cfg.stage) {
            (Recipe::Residual, Stage::One) => {
                AnyDiscriminator::Residual(views(cfg, &d, residual::Discriminator::stage1)?)
            }
            (Recipe::Residual, Stage::Two) => {
                AnyDiscriminator::Residual(views(cfg, &d, residual::Discriminator::stage2)?)
            }
            (Recipe::Plain, Stage::One) => {
                AnyDiscriminator::Plain(views(cfg, &d, plain::Discriminator::stage1)?)
            }
            (Recipe::Plain, Stage::Two) => {
                AnyDiscriminator::Plain(views(cfg, &d, plain::Discriminator::stage2)?)
            }
        };
        let Pretrained { matcher, projection } = pretrained.used(&cfg.loss);
        // After D, whose weights alone are divided if `knobs.spectral_norm` is on.
        let projected = projection
            .map(|projection| Projected::new(projection, (cfg.stage, cfg.net.text_dim), &d));
        let projected = projected.transpose()?;
        let optimised = |params: Params, limit| -> Result<Optimised> {
            Ok(Optimised { adam: Adam::new(&params, cfg.betas())?.within(limit), params })
        };
        let (g, d) = (optimised(g, cfg.knobs.clip_g)?, optimised(d, cfg.knobs.clip_d)?);
        let tuned = match stage1.filter(|_| cfg.knobs.finetune_stage1 > 0.0) {
            Some(low) => Some(Box::new(Tuned::new(cfg, low, start.discriminator()?, device)?)),
            None => None,
        };
        Ok(Self { game: Game { generator, g, d, matcher, projected }, discriminator, tuned })
    }

    /// The state to store in a checkpoint: networks, optimisers, and a tuned Stage-I's. The tensors
    /// are not copied, so the next step changes them.
    pub(crate) fn state(&self) -> Archive {
        let tuned = self.tuned.as_deref().map(Tuned::discriminator).unwrap_or_default();
        let networks = prefixed("g.", self.g().params.all())
            .chain(prefixed("d.", self.d().params.all()))
            .chain(tuned);
        let stored = networks.chain(self.moments());
        let tensors = stored.map(|(name, var)| (name, var.as_detached_tensor())).collect();
        Archive { tensors, ..Archive::default() }
    }

    /// The moments of all optimisers, by their names in a checkpoint.
    pub(crate) fn moments(&self) -> Vec<(String, Var)> {
        prefixed("adam.g.", self.g().adam.moments())
            .chain(prefixed("adam.d.", self.d().adam.moments()))
            .chain(self.tuned.as_deref().map(Tuned::moments).unwrap_or_default())
            .collect()
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
        match &mut self.tuned {
            Some(tuned) => tuned.restore(&archive.part("tune."), of_g),
            None => Ok(()),
        }
    }

    /// Takes one step of both players.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] before the weights of the player concerned are changed, which for G
    /// is after D's step ([`crate::guard`] makes a step whole); tensor errors.
    pub fn step(&mut self, inputs: &Inputs, cfg: &StepConfig) -> crate::Result<StepStats> {
        let game = &mut self.game;
        match &mut self.discriminator {
            AnyDiscriminator::Residual(views) => match &mut self.tuned {
                Some(tuned) => tuned.step((game, views), inputs, cfg),
                None => residual_step(game, views, inputs, cfg),
            },
            AnyDiscriminator::Plain(views) => plain_step(game, views, inputs, cfg),
        }
    }

    /// G's variables and optimiser.
    #[must_use]
    pub const fn g(&self) -> &Optimised {
        &self.game.g
    }

    /// D's variables and optimiser.
    #[must_use]
    pub const fn d(&self) -> &Optimised {
        &self.game.d
    }

    /// Both players' variables and optimisers, mutable.
    #[must_use]
    pub const fn both_mut(&mut self) -> [&mut Optimised; 2] {
        [&mut self.game.g, &mut self.game.d]
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
}
