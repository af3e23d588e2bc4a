//! A step that is taken whole or not at all.
//!
//! Before a step everything that it may change is copied. If a number is none, the copy is put back: a step that fails leaves
//! the players as it found them, to the bit. The copies cost as much memory as the state; a step costs moving the state once
//! and reading the weights once more.
//!
//! Looked at are a step's inputs (pictures, text, noise, rates), its losses and gradients, and afterwards weights and running
//! statistics (a batch norm turns 1e38 into finite pictures and an infinite variance): on a CPU one after the other, before each
//! is used. Then weights and moments from before are searched for what was bad already. On a GPU a look is a wait, so everything is
//! looked at together when the step has been queued ([`Looks`]); a step that was not good is put back and taken again as on a CPU,
//! which finds the first tensor that is no number.

use candle_core::{Tensor, Var};
use stackgan_core::Params;
use stackgan_kernels::copy_all;

use crate::players::Players;
use crate::recording::Recording;
use crate::step::{Looks, Pictures, StepConfig, StepNoise, StepStats};
use crate::{Error, Result, nonfinite};

/// Watches over the steps of one pair of players.
pub struct Guard {
    kept: Vec<(Var, Var)>,       // live, copy
    weights: Vec<(String, Var)>, // and running statistics
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
        let mut changing = g.params.all();
        changing.extend(g.adam.moments());
        changing.extend(d.params.all());
        changing.extend(d.adam.moments());
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
            .chain(named("stage1.", stage1.map(Params::all).unwrap_or_default()))
            .collect();
        let moments =
            named("adam.g.", g.adam.moments()).chain(named("adam.d.", d.adam.moments())).collect();
        Ok(Self {
            kept,
            weights,
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
        match self.looks {
            Looks::AsItGoes => self.looking_as_it_goes(players, inputs, cfg),
            Looks::AtTheEnd => self.looking_at_the_end(players, inputs, cfg, meanwhile),
        }
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
            finite(cfg.step, &self.weights)?;
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

    /// What `step` does to the players, or nothing where it fails.
    fn whole_or_not<T>(
        &self,
        players: &mut Players,
        step: impl FnOnce(&mut Players) -> Result<T>,
    ) -> Result<T> {
        let steps = steps(players);
        let keep = self.kept.iter().map(|(live, copy)| (copy, live.as_tensor()));
        copy_all(&keep.collect::<Vec<_>>())?;
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
