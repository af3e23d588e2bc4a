//! A step that is taken whole or not at all.
//!
//! If a number is none, a step that fails leaves the players as it found them, to the bit. On a CPU the optimisers' steps are held
//! until both are taken ([`crate::adam`]): what D's weights were and its gradient are kept through G's step; running statistics, and
//! the networks of a tuned Stage-I, are copied before. On a GPU, where memory is fast and a step is one launch, everything
//! that it may change is copied, which costs as much memory as the state.
//!
//! Looked at are a step's inputs (pictures, text, noise, rates), its losses and gradients, and afterwards weights and running
//! statistics (a batch norm turns 1e38 into finite pictures and an infinite variance): on a CPU one after the other, before each
//! is used. Then weights and moments from before are searched for what was bad already. On a GPU a look is a wait, so everything is
//! looked at together when the step has been queued ([`Looks`]); a step that was not good is put back and taken again as on a CPU,
//! which finds the first tensor that is no number.

use candle_core::{Device, Tensor, Var};
use stackgan_core::Params;
use stackgan_kernels::copy_all;

use crate::players::Players;
use crate::recording::Recording;
use crate::step::{Looks, Pictures, StepConfig, StepNoise, StepStats};
use crate::{Error, Result, nonfinite};

/// How weights and moments come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// The optimisers' steps are held until both are taken.
    Held,
    /// From copies.
    Copied,
}

impl Undo {
    /// What suits a device.
    #[must_use]
    pub fn on(device: &Device) -> Self {
        if device.is_cpu() { Self::Held } else { Self::Copied }
    }
}

/// Watches over the steps of one pair of players.
#[derive(Debug)]
pub struct Guard {
    kept: Vec<(Var, Var)>, // live, copy
    undo: Undo,
    weights: Vec<(String, Var)>, // and running statistics
    unheld: Vec<(String, Var)>,  // those of them that no held step looks at
    moments: Vec<(String, Var)>,
    looks: Looks,
    recording: Recording,
}

impl Guard {
    /// A guard of `players`, and of the Stage-I under a Stage-II: its running statistics move too, and all of it where it
    /// is tuned. Looks as suits their device.
    ///
    /// # Errors
    /// When memory for the copies cannot be had.
    pub fn over(players: &Players, stage1: Option<&Params>) -> Result<Self> {
        let (g, d) = (players.g(), players.d());
        let undo = Undo::on(g.params.device());
        let held =
            |var: &Var| undo == Undo::Held && [g, d].iter().any(|player| player.adam.moves(var));
        let unheld = |vars: Vec<(String, Var)>| vars.into_iter().filter(|(_, var)| !held(var));
        let mut changing: Vec<(String, Var)> = unheld(g.params.all()).collect();
        changing.extend(unheld(d.params.all()));
        if undo == Undo::Copied {
            changing.extend(g.adam.moments());
            changing.extend(d.adam.moments());
        }
        match players.tuned() {
            Some(tuned) => changing.extend(tuned.variables()),
            None => changing.extend(stage1.map(Params::statistics).unwrap_or_default()),
        }
        let copy = |(_, live): (String, Var)| Ok((live.clone(), Var::from_tensor(&live.copy()?)?));
        let kept = changing.into_iter().map(copy).collect::<Result<_>>()?;
        let named = |prefix: &'static str, vars: Vec<(String, Var)>| {
            vars.into_iter().map(move |(name, var)| (format!("{prefix}{name}"), var))
        };
        let weights = named("g.", g.params.all())
            .chain(named("d.", d.params.all()))
            .chain(named("stage1.", stage1.map(Params::all).unwrap_or_default()));
        let weights: Vec<(String, Var)> = weights.collect();
        let unheld = unheld(weights.clone()).collect();
        let moments =
            named("adam.g.", g.adam.moments()).chain(named("adam.d.", d.adam.moments())).collect();
        Ok(Self {
            kept,
            undo,
            weights,
            unheld,
            moments,
            looks: Looks::on(g.params.device()),
            recording: Recording::default(),
        })
    }

    /// The same guard, looking as `looks` says.
    #[must_use]
    pub const fn looking(mut self, looks: Looks) -> Self {
        self.looks = looks;
        self
    }

    /// Why a GPU's steps are queued one by one, although they ask nothing of the host: what recording them met with.
    #[must_use]
    pub fn not_recorded(&self) -> Option<String> {
        self.recording.refused().map(ToString::to_string)
    }

    /// Numbers that are copied before a step.
    #[cfg(test)]
    pub(crate) fn copies(&self) -> usize {
        self.kept.iter().map(|(live, _)| live.elem_count()).sum()
    }

    /// One step of both players, or none. Where numbers are looked at at the end, `meanwhile` is called before, when the
    /// device has been given its work.
    ///
    /// # Errors
    /// [`Error::NonFinite`] names the first tensor that is no number; tensor errors. The players are then as before.
    pub fn step(
        &mut self,
        players: &mut Players,
        inputs: (&Pictures, &StepNoise),
        cfg: &StepConfig,
        meanwhile: impl FnOnce(),
    ) -> Result<StepStats> {
        for (name, lr) in [("lr_g", cfg.lr_g), ("lr_d", cfg.lr_d)] {
            if !lr.is_finite() {
                return Err(nonfinite::error(cfg.step, name, lr));
            }
        }
        let stats = match self.looks {
            Looks::AsItGoes => self.looking_as_it_goes(players, inputs, cfg)?,
            Looks::AtTheEnd => self.looking_at_the_end(players, inputs, cfg, meanwhile)?,
        };
        players.both_mut().into_iter().try_for_each(|player| player.adam.keep())?;
        Ok(stats)
    }

    fn looking_as_it_goes(
        &self,
        players: &mut Players,
        inputs: (&Pictures, &StepNoise),
        cfg: &StepConfig,
    ) -> Result<StepStats> {
        told(cfg.step, nonfinite::first(named(inputs))?)?;
        let result = self.whole_or_not(players, |players| {
            let cfg = StepConfig { looks: Looks::AsItGoes, ..*cfg };
            let stats = players.step(inputs.0, inputs.1, &cfg)?;
            told(cfg.step, players.first_bad())?;
            finite(cfg.step, &self.unheld)?;
            Ok(stats)
        });
        if result.is_err() {
            finite(cfg.step, &self.weights)?;
            finite(cfg.step, &self.moments)?;
        }
        result
    }

    fn looking_at_the_end(
        &mut self,
        players: &mut Players,
        inputs: (&Pictures, &StepNoise),
        cfg: &StepConfig,
        meanwhile: impl FnOnce(),
    ) -> Result<StepStats> {
        let steps = steps(players);
        let cfg = &StepConfig { looks: Looks::AtTheEnd, ..*cfg };
        let mut recording = std::mem::take(&mut self.recording);
        let result = self.whole_or_not(players, |players| {
            recording.step(players, inputs, cfg, &self.weights, meanwhile)
        });
        self.recording = recording;
        let Err(found @ Error::NonFinite { .. }) = result else { return result };
        // Which tensor was the first? A device that does not give the same numbers twice may not say.
        self.looking_as_it_goes(players, inputs, cfg)?;
        self.put_back(players, steps)?;
        Err(found)
    }

    /// What `step` does to the players, or nothing where it fails. Held steps are still to be kept.
    fn whole_or_not<T>(
        &self,
        players: &mut Players,
        step: impl FnOnce(&mut Players) -> Result<T>,
    ) -> Result<T> {
        let steps = steps(players);
        let keep = self.kept.iter().map(|(live, copy)| (copy, live.as_tensor()));
        copy_all(&keep.collect::<Vec<_>>())?;
        if self.undo == Undo::Held {
            players.both_mut().into_iter().for_each(|player| player.adam.hold());
        }
        let result = step(players);
        if result.is_err() {
            self.put_back(players, steps)?;
        }
        result
    }

    fn put_back(&self, players: &mut Players, steps: [u64; 2]) -> Result<()> {
        let back = self.kept.iter().map(|(live, copy)| (live, copy.as_tensor()));
        copy_all(&back.collect::<Vec<_>>())?;
        for (player, steps) in players.both_mut().into_iter().zip(steps) {
            player.adam.take_back()?;
            player.adam.rewind(steps);
        }
        if let Some(tuned) = players.tuned_mut() {
            tuned.rewind(steps[0]);
        }
        Ok(())
    }
}

/// Steps of the optimisers: G, D.
fn steps(players: &Players) -> [u64; 2] {
    [players.g().adam.steps(), players.d().adam.steps()]
}

fn finite(step: u64, vars: &[(String, Var)]) -> Result<()> {
    told(step, nonfinite::first(vars.iter().map(|(name, var)| (name, var.as_tensor())))?)
}

/// What enters a step from outside.
pub(crate) fn named<'a>(
    (batch, noise): (&'a Pictures, &'a StepNoise),
) -> impl Iterator<Item = (&'static str, &'a Tensor)> {
    let pictures = [("input.real", &batch.real), ("input.text", &batch.text)];
    let drawn = [
        ("input.d.z", &noise.d.z),
        ("input.d.eps1", &noise.d.eps1),
        ("input.d.eps2", &noise.d.eps2),
        ("input.g.z", &noise.g.z),
        ("input.g.eps1", &noise.g.eps1),
        ("input.g.eps2", &noise.g.eps2),
    ];
    let wrong = batch.wrong.as_ref().map(|wrong| ("input.wrong", wrong));
    pictures.into_iter().chain(wrong).chain(drawn)
}

fn told(step: u64, found: Option<(String, f64)>) -> Result<()> {
    match found {
        None => Ok(()),
        Some((name, value)) => Err(nonfinite::error(step, &name, value)),
    }
}
