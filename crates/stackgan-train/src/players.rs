//! The two players of a recipe and stage, built from a configuration.

use candle_core::{Device, Result};
use stackgan_core::archive::Archive;
use stackgan_core::generators::{self, Low};
use stackgan_core::noise::Noise;
use stackgan_core::{NetConfig, Params, Recipe, Scope, Stage, plain, residual};

use crate::adam::Adam;
use crate::config::TrainConfig;
use crate::fine_tune::Tuned;
use crate::matching::Matcher;
use crate::spectral::{Make, Spectral};
use crate::start::Start;
use crate::step::{
    Game, Inputs, Optimised, Pair, StepConfig, StepStats, plain_step, residual_step,
};

/// The players.
#[derive(Debug)]
pub struct Players {
    /// G, and the variables and optimisers of both.
    pub game: Game,
    /// D.
    pub discriminator: Discriminator,
}

/// The discriminator, by recipe.
#[derive(Debug)]
pub enum Discriminator {
    /// That of the TensorFlow release.
    Residual(Box<Pair<residual::Discriminator>>),
    /// That of the PyTorch release.
    Plain(Box<Pair<plain::Discriminator>>),
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
    let g = Params::fresh(noise, &format!("g{}", cfg.stage), device);
    let d = Params::fresh(noise, &format!("d{}", cfg.stage), device);
    let generator = match (cfg.stage, stage1) {
        (Stage::One, _) => generators::stage1(&cfg.net, &g.trained())?,
        (Stage::Two, Some((params, net))) => {
            let (scope, statistics) = (&low_scope(cfg, params), cfg.noise.stage1_statistics);
            generators::stage2(&cfg.net, &Low { net, scope, statistics }, &g.trained())?
        }
        (Stage::Two, None) => candle_core::bail!("Stage-II needs a Stage-I model"),
    };
    let discriminator = match (cfg.net.recipe, cfg.stage) {
        (Recipe::Residual, Stage::One) => {
            Discriminator::Residual(pair(cfg, &d, residual::Discriminator::stage1)?)
        }
        (Recipe::Residual, Stage::Two) => {
            Discriminator::Residual(pair(cfg, &d, residual::Discriminator::stage2)?)
        }
        (Recipe::Plain, Stage::One) => {
            Discriminator::Plain(pair(cfg, &d, plain::Discriminator::stage1)?)
        }
        (Recipe::Plain, Stage::Two) => {
            Discriminator::Plain(pair(cfg, &d, plain::Discriminator::stage2)?)
        }
    };
    let optimised = |params: Params, limit| -> Result<Optimised> {
        Ok(Optimised { adam: Adam::new(&params, cfg.betas())?.within(limit), params })
    };
    let (g, d) = (optimised(g, cfg.knobs.clip_g)?, optimised(d, cfg.knobs.clip_d)?);
    Ok(Players { game: Game { generator, g, d, matcher: None, tuned: None }, discriminator })
}

/// Builds D twice on its variables.
fn pair<D>(cfg: &TrainConfig, params: &Params, make: Make<D>) -> Result<Box<Pair<D>>> {
    let (trained, frozen) = (make(&cfg.net, &params.trained())?, make(&cfg.net, &params.frozen())?);
    let spectral = cfg.knobs.spectral_norm;
    let spectral = spectral.then(|| Spectral::over(params, &cfg.net, make)).transpose()?;
    Ok(Box::new(Pair { trained, frozen, spectral }))
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
            self.game.g.params.set(&weights)?;
        }
        if let Some(low) = stage1.filter(|_| cfg.knobs.finetune_stage1 > 0.0) {
            let device = self.game.g.params.device();
            let tuned = Tuned::new(cfg, low, start.discriminator()?, device)?;
            self.game.tuned = Some(Box::new(tuned));
        }
        Ok(self)
    }

    /// Sets the matcher that compares G's pictures with their captions.
    #[must_use]
    pub(crate) fn matched(mut self, matcher: Option<Matcher>) -> Self {
        self.game.matcher = matcher;
        self
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
        if let Some(tuned) = &self.game.tuned {
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
        match &mut self.game.tuned {
            Some(tuned) => tuned.restore(&archive.part("tune."), of_g),
            None => Ok(()),
        }
    }

    /// Takes one step of both players.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] before anything is changed; tensor errors.
    pub fn step(&mut self, inputs: &Inputs, cfg: &StepConfig) -> crate::Result<StepStats> {
        let game = &mut self.game;
        match &mut self.discriminator {
            Discriminator::Residual(pair) => {
                let stats = residual_step(game, pair, inputs, cfg)?;
                Ok(stats.with_stage1(game.tune_stage1(inputs, cfg)?))
            }
            Discriminator::Plain(pair) => plain_step(game, pair, inputs, cfg),
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

    /// Whether a step needs nothing from the host, that is, whether no knob is on that reads
    /// weights or gradients there.
    pub(crate) fn is_plain_game(&self) -> bool {
        let spectral = match &self.discriminator {
            Discriminator::Residual(pair) => pair.spectral.is_some(),
            Discriminator::Plain(pair) => pair.spectral.is_some(),
        };
        let limited = self.g().adam.is_limited() || self.d().adam.is_limited();
        !spectral && self.game.tuned.is_none() && !limited
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

#[cfg(test)]
mod tests {
    use candle_core::Tensor;
    use stackgan_core::noise::Stream;

    use super::*;
    use crate::config::preset;
    use crate::step::{Batch, StepNoise};

    fn config() -> TrainConfig {
        let mut cfg = TrainConfig::from_toml(preset("toy-stage2").unwrap()).unwrap();
        (cfg.net.gf, cfg.net.df, cfg.net.text_dim, cfg.net.channel_floor) = (8, 4, 12, 0);
        (cfg.knobs.finetune_stage1, cfg.loss.matching, cfg.loss.r1.gamma) = (0.5, 0.0, 0.0);
        cfg
    }

    fn inputs(cfg: &TrainConfig) -> Inputs {
        let draw = |sample, shape: &[usize]| {
            let values = Noise::new(8).normal(Stream::Test, 0, sample, shape.iter().product());
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let picture = |sample| draw(sample, &[2, 3, 256, 256]).tanh().unwrap();
        let (real, wrong, text) = (picture(0), Some(picture(1)), draw(2, &[2, 12]));
        let noise = StepNoise::draw(cfg, 0, 2, &Device::Cpu).unwrap();
        Inputs { batch: Batch { real, wrong, text, other_text: None }, noise }
    }

    /// Returns fresh players with a Stage-I that is tuned.
    fn tuned(cfg: &TrainConfig) -> (Params, Players) {
        let fresh = |name| Params::fresh(Noise::new(1), name, &Device::Cpu);
        let (low, d) = (fresh("g1"), fresh("d1"));
        drop(generators::stage1(&cfg.net, &low.trained()).unwrap());
        drop(residual::Discriminator::stage1(&cfg.net, &d.trained()).unwrap());
        let start = Start { generator: None, stage1_discriminator: Some(d.snapshot().unwrap()) };
        let stage1 = Some((&low, &cfg.net));
        let players = players(cfg, stage1, &Device::Cpu).unwrap();
        let players = players.beginning(&start, cfg, stage1).unwrap();
        (low, players)
    }

    fn bytes(low: &Params, players: &Players) -> Vec<u8> {
        let mut archive = players.state().unwrap();
        archive.extend("stage1.", low.values());
        archive.to_bytes().unwrap()
    }

    /// Source: TensorFlow release, `stageII/trainer.py`, `train_one_step` with `FINETUNE_LR`.
    #[test]
    fn stage1_plays_its_own_game_after_the_step_of_stage2() {
        let cfg = config();
        let (inputs, step) = (inputs(&cfg), StepConfig::of(&cfg, 0, 1.0));
        let (low, mut whole) = tuned(&cfg);
        let stats = whole.step(&inputs, &step).unwrap();
        assert!(stats.get("stage1_d_loss").unwrap() > 0.0);
        let by_hand = |own_game_first: bool| {
            let (low, Players { mut game, discriminator }) = tuned(&cfg);
            let Discriminator::Residual(mut pair) = discriminator else { unreachable!() };
            let play = |game: &mut Game| game.tune_stage1(&inputs, &step).unwrap();
            if own_game_first {
                play(&mut game);
            }
            residual_step(&mut game, &mut pair, &inputs, &step).unwrap();
            if !own_game_first {
                play(&mut game);
            }
            bytes(&low, &Players { game, discriminator: Discriminator::Residual(pair) })
        };
        assert!(bytes(&low, &whole) == by_hand(false));
        assert!(bytes(&low, &whole) != by_hand(true));
    }
}
