//! Transactional steps: a step is applied completely or not at all.
//!
//! If a value is not finite, the failed step leaves the players unchanged to the bit. On a CPU the
//! optimisers' steps are held until both have been taken ([`crate::adam`]): D's previous weights
//! and its gradient are kept through G's step. Running statistics, and the networks of a fine-tuned
//! Stage-I, are copied beforehand. On a GPU, where memory is fast and a step is one launch,
//! everything that the step may change is copied, which needs as much memory as the state itself.
//!
//! The checks cover the inputs of a step (pictures, text, noise, learning rates), its losses and
//! gradients, and afterwards weights and running statistics (batch norm turns 1e38 into finite
//! pictures and an infinite variance). On a CPU each value is checked before it is used. After a
//! failure, the previous weights and moments are searched for values that were already non-finite.
//! On a GPU every check is a wait, so everything is checked together once the step has been queued
//! ([`Checks`]). If that check fails, the step is undone and taken again with the checks of a CPU,
//! which finds the first non-finite tensor.

use candle_core::{Device, Var};
use stackgan_core::Params;
use stackgan_core::archive::prefixed;
use stackgan_kernels::{copy_all, gpu};

use crate::fine_tune::Tuned;
use crate::players::Players;
use crate::recording::Recording;
use crate::step::{Checks, Inputs, StepConfig, StepStats};
use crate::{Error, Result, nonfinite};

/// How weights and moments are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// The optimisers' steps are held until both have been taken.
    Held,
    /// From copies.
    Copied,
}

impl Undo {
    /// The default for a device.
    #[must_use]
    pub fn on(device: &Device) -> Self {
        if device.is_cpu() { Self::Held } else { Self::Copied }
    }
}

/// Guards the steps of one pair of players.
#[derive(Debug)]
pub struct Guard {
    kept: Vec<(Var, Var)>, // live, copy
    undo: Undo,
    weights: Vec<(String, Var)>, // including running statistics
    unheld: Vec<(String, Var)>,  // those that are not checked by a held step
    moments: Vec<(String, Var)>,
    checks: Checks,
    recording: Recording,
}

impl Guard {
    /// Creates a guard of `players` and, for Stage-II, of the Stage-I under it.
    ///
    /// Stage-I's running statistics change in every step, and all of Stage-I changes if it is
    /// fine-tuned. When values are checked depends on the device.
    ///
    /// # Errors
    /// When memory for the copies cannot be allocated.
    pub fn over(players: &Players, stage1: Option<&Params>) -> Result<Self> {
        let (g, d, tuned) = (players.g(), players.d(), players.tuned.as_deref());
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
        match tuned {
            Some(tuned) => changing.extend(tuned.variables()),
            None => changing.extend(stage1.map(Params::statistics).unwrap_or_default()),
        }
        let copy = |(_, live): (String, Var)| Ok((live.clone(), Var::from_tensor(&live.copy()?)?));
        let kept = changing.into_iter().map(copy).collect::<Result<_>>()?;
        let weights = prefixed("g.", g.params.all())
            .chain(prefixed("d.", d.params.all()))
            .chain(prefixed("stage1.", stage1.map(Params::all).unwrap_or_default()))
            .chain(tuned.map(Tuned::discriminator).unwrap_or_default());
        let weights: Vec<(String, Var)> = weights.collect();
        let unheld = unheld(weights.clone()).collect();
        Ok(Self {
            kept,
            undo,
            weights,
            unheld,
            moments: players.moments(),
            checks: Checks::on(g.params.device()),
            recording: Recording::default(),
        })
    }

    /// The same guard, which checks values when `checks` says.
    #[must_use]
    pub const fn checking(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self
    }

    /// The error that prevented the recording of a GPU's steps, if recording was tried and failed.
    #[must_use]
    pub fn not_recorded(&self) -> Option<String> {
        self.recording.refused().map(ToString::to_string)
    }

    /// After work between steps that failed: whether it may succeed now, because it found no memory
    /// beside a recorded step, whose memory is given back.
    pub(crate) fn gives_way(&mut self, error: &Error) -> bool {
        self.recording.gives_way(error)
    }

    /// The number of values that are copied before a step.
    #[cfg(test)]
    pub(crate) fn copies(&self) -> usize {
        self.kept.iter().map(|(live, _)| live.elem_count()).sum()
    }

    /// Takes one step of both players, or none.
    ///
    /// If values are checked at the end, `meanwhile` is called before the check, once the work has
    /// been queued on the device.
    ///
    /// # Errors
    /// [`Error::NonFinite`] names the first non-finite tensor; tensor errors. The players are then
    /// unchanged.
    pub fn step(
        &mut self,
        players: &mut Players,
        inputs: &Inputs,
        cfg: &StepConfig,
        meanwhile: impl FnOnce(),
    ) -> Result<StepStats> {
        for (name, lr) in [("lr_g", cfg.lr_g), ("lr_d", cfg.lr_d)] {
            if !lr.is_finite() {
                return Err(nonfinite::error(cfg.step, name, lr));
            }
        }
        let stats = match self.checks {
            Checks::Immediate => self.checked_now(players, inputs, cfg)?,
            Checks::Deferred => self.checked_after(players, inputs, cfg, meanwhile)?,
        };
        players.both_mut().into_iter().try_for_each(|player| player.adam.keep())?;
        Ok(stats)
    }

    fn checked_now(
        &self,
        players: &mut Players,
        inputs: &Inputs,
        cfg: &StepConfig,
    ) -> Result<StepStats> {
        fail_if_found(cfg.step, nonfinite::first(inputs.numbers())?)?;
        let result = self.whole_or_not(players, |players| {
            let cfg = StepConfig { checks: Checks::Immediate, ..*cfg };
            let stats = players.step(inputs, &cfg)?;
            fail_if_found(cfg.step, players.first_bad())?;
            finite(cfg.step, &self.unheld)?;
            Ok(stats)
        });
        if result.is_err() {
            finite(cfg.step, &self.weights)?;
            finite(cfg.step, &self.moments)?;
        }
        result
    }

    fn checked_after(
        &mut self,
        players: &mut Players,
        inputs: &Inputs,
        cfg: &StepConfig,
        meanwhile: impl FnOnce(),
    ) -> Result<StepStats> {
        let steps = steps(players);
        let cfg = &StepConfig { checks: Checks::Deferred, ..*cfg };
        let mut recording = std::mem::take(&mut self.recording);
        let mut meanwhile = Some(meanwhile);
        let mut step = |recording: &mut Recording| {
            self.whole_or_not(players, |players| {
                let meanwhile = || meanwhile.take().into_iter().for_each(|f| f());
                recording.step(players, inputs, cfg, &self.weights, meanwhile)
            })
        };
        let result = match step(&mut recording) {
            Err(error) if recording.gives_way(&error) => step(&mut recording),
            result => result,
        };
        self.recording = recording;
        let Err(found @ Error::NonFinite { .. }) = result else { return result };
        // Find the first non-finite tensor. A device that is not deterministic may not fail again, and
        // one whose memory a recorded step holds may have none for this.
        let again = match self.checked_now(players, inputs, cfg) {
            Err(error) if self.recording.gives_way(&error) => {
                self.checked_now(players, inputs, cfg)
            }
            again => again,
        };
        match again {
            Ok(_) => self.put_back(players, steps)?,
            Err(error) if gpu::memory_is_full(&error) => {}
            Err(error) => return Err(error),
        }
        Err(found)
    }

    /// Applies `step` to the players, or nothing if it fails. The caller still has to keep held
    /// steps.
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
        if let Some(tuned) = &mut players.tuned {
            tuned.rewind(steps[0]);
        }
        Ok(())
    }
}

/// Step counts of the optimisers of G and D.
fn steps(players: &Players) -> [u64; 2] {
    [players.g().adam.steps(), players.d().adam.steps()]
}

fn finite(step: u64, vars: &[(String, Var)]) -> Result<()> {
    fail_if_found(step, nonfinite::first(vars.iter().map(|(name, var)| (name, var.as_tensor())))?)
}

fn fail_if_found(step: u64, found: Option<(String, f64)>) -> Result<()> {
    match found {
        None => Ok(()),
        Some((name, value)) => Err(nonfinite::error(step, &name, value)),
    }
}
