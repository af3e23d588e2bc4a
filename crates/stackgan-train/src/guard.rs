//! A step that is taken whole or not at all.
//!
//! Before a step its inputs are looked at: pictures, text, noise, rates; and everything that it may change is copied. If a loss
//! or gradient is no number while it is taken, or a weight or running statistic is none afterwards (a batch norm turns 1e38
//! into finite pictures and an infinite variance), the copy is put back: a step that fails leaves the players as it found
//! them, to the bit. Only then weights and moments from before are searched for what was bad already. The copies cost as much
//! memory as the state; a step costs moving the state once and reading the weights once more.

use candle_core::Var;
use stackgan_core::Params;

use crate::players::Players;
use crate::step::{Pictures, StepConfig, StepNoise, StepStats};
use crate::{Result, nonfinite};

/// Watches over the steps of one pair of players.
pub struct Guard {
    kept: Vec<(Var, Var)>,       // live, copy
    weights: Vec<(String, Var)>, // and running statistics
    moments: Vec<(String, Var)>,
}

impl Guard {
    /// A guard of `players`, and of the Stage-I under a Stage-II: its running statistics move too, and all of it where it
    /// is tuned.
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
        Ok(Self { kept, weights, moments })
    }

    /// One step of both players, or none.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] names the first tensor that is no number; tensor errors. The players are then as before.
    pub fn step(
        &self,
        players: &mut Players,
        batch: &Pictures,
        noise: &StepNoise,
        cfg: &StepConfig,
    ) -> Result<StepStats> {
        inputs(batch, noise, cfg)?;
        for (live, copy) in &self.kept {
            copy.set(live)?;
        }
        let steps = [players.g().adam.steps(), players.d().adam.steps()];
        let result = players.step(batch, noise, cfg);
        let result = result.and_then(|stats| finite(cfg.step, &self.weights).map(|()| stats));
        let Err(error) = result else { return result };
        for (live, copy) in &self.kept {
            live.set(copy)?;
        }
        for (player, steps) in players.both_mut().into_iter().zip(steps) {
            player.adam.rewind(steps);
        }
        if let Some(tuned) = players.tuned_mut() {
            tuned.rewind(steps[0]);
        }
        finite(cfg.step, &self.weights)?;
        finite(cfg.step, &self.moments)?;
        Err(error)
    }
}

fn finite(step: u64, vars: &[(String, Var)]) -> Result<()> {
    told(step, nonfinite::first(vars.iter().map(|(name, var)| (name, var.as_tensor())))?)
}

/// Looks at what enters a step from outside.
fn inputs(batch: &Pictures, noise: &StepNoise, cfg: &StepConfig) -> Result<()> {
    for (name, lr) in [("lr_g", cfg.lr_g), ("lr_d", cfg.lr_d)] {
        if !lr.is_finite() {
            return Err(nonfinite::error(cfg.step, name, lr));
        }
    }
    let named = [("input.real", &batch.real), ("input.text", &batch.text)];
    let drawn = [
        ("input.d.z", &noise.d.z),
        ("input.d.eps1", &noise.d.eps1),
        ("input.d.eps2", &noise.d.eps2),
        ("input.g.z", &noise.g.z),
        ("input.g.eps1", &noise.g.eps1),
        ("input.g.eps2", &noise.g.eps2),
    ];
    let wrong = batch.wrong.as_ref().map(|wrong| ("input.wrong", wrong));
    told(cfg.step, nonfinite::first(named.into_iter().chain(wrong).chain(drawn))?)
}

fn told(step: u64, found: Option<(String, f64)>) -> Result<()> {
    match found {
        None => Ok(()),
        Some((name, value)) => Err(nonfinite::error(step, &name, value)),
    }
}
