//! Steps that are checked at their end. On a GPU a step is recorded once and then replayed.
//!
//! A step is a thousand small launches, which cost the host more time than most of them cost the
//! GPU. A replayed step is a single launch. It does the same work in the same order on the same
//! tensors, so its results are equal to the bit.
//!
//! Steps that need something from the host are not recorded: steps in which R1 is due, and steps
//! with spectral norm, augmentation, gradient clipping, a fine-tuned Stage-I, class-checked wrong
//! pairs, or several steps of D for each of G. Steps in parts (`micro_batch`) are not recorded
//! either.

use candle_core::{DType, Tensor, Var};
use stackgan_core::gan::GeneratorNoise;
use stackgan_kernels::{copy_all, count_non_finite, gpu};

use crate::Result;
use crate::diff_augment::Policy;
use crate::guard::named;
use crate::players::Players;
use crate::step::{Pictures, StepConfig, StepNoise, StepStats};

/// Steps before the recorded one. The first selects cuDNN's algorithms and loads kernels; the
/// second is the rehearsal.
const BEFORE: u32 = 2;

/// The names of the two counts of non-finite values.
const COUNTS: [&str; 2] = ["input", "weights"];

/// Takes steps, and records them if possible.
#[derive(Default, Debug)]
pub(crate) struct Recording {
    taken: u32,
    /// The number of values that a step returns.
    numbers: usize,
    rehearsal: Option<gpu::Rehearsal>,
    recorded: Option<Recorded>,
    refused: Option<candle_core::Error>,
}

/// A recorded step, with its input tensors and the tensor that receives its results.
#[derive(Debug)]
struct Recorded {
    places: Vec<Var>, // of the inputs, in the order of `named`
    names: StepStats,
    numbers: Var,
    work: gpu::Recorded,
}

impl Recording {
    /// Takes one step and checks it, and `weights`, at its end.
    ///
    /// `meanwhile` is called once the step has been queued.
    pub(crate) fn step(
        &mut self,
        players: &mut Players,
        inputs: (&Pictures, &StepNoise),
        cfg: &StepConfig,
        weights: &[(String, Var)],
        meanwhile: impl FnOnce(),
    ) -> Result<StepStats> {
        let fits = self.recorded.as_ref().is_none_or(|recorded| recorded.fits(inputs));
        if self.refused.is_some() || !fits || !possible(players, inputs.0, cfg) {
            return Ok(queued(players, inputs, cfg, weights, meanwhile)?.0);
        }
        if self.taken < BEFORE {
            self.taken += 1;
            if self.taken == BEFORE {
                self.rehearsal = Some(gpu::rehearse(players.g().params.device())?);
            }
            let (stats, numbers) = queued(players, inputs, cfg, weights, meanwhile)?;
            self.numbers = numbers;
            return Ok(stats);
        }
        if self.recorded.is_none() {
            players.prepare(cfg)?;
            let recorded = Recorded::new(players, inputs, cfg, (weights, self.numbers));
            self.rehearsal = None;
            players.unprepare();
            match recorded {
                Ok(recorded) => self.recorded = Some(recorded),
                Err(error) => self.refused = Some(error),
            }
        }
        match &mut self.recorded {
            Some(recorded) => recorded.step(players, inputs, cfg, meanwhile),
            None => Ok(queued(players, inputs, cfg, weights, meanwhile)?.0),
        }
    }

    /// The error that prevented recording, if it was tried and failed.
    pub(crate) const fn refused(&self) -> Option<&candle_core::Error> {
        self.refused.as_ref()
    }
}

/// Queues and checks a step. Also returns the number of values that it reported.
fn queued(
    players: &mut Players,
    inputs: (&Pictures, &StepNoise),
    cfg: &StepConfig,
    weights: &[(String, Var)],
    meanwhile: impl FnOnce(),
) -> Result<(StepStats, usize)> {
    let (mut stats, numbers) = queue(players, inputs, cfg, weights)?;
    meanwhile();
    let numbers = numbers.to_vec1::<f32>()?;
    stats.look(cfg.step, &numbers, COUNTS)?;
    Ok((stats, numbers.len()))
}

/// Whether a step needs nothing from the host.
fn possible(players: &Players, pictures: &Pictures, cfg: &StepConfig) -> bool {
    gpu::can_record(players.g().params.device())
        && players.is_plain_game()
        && pictures.other_text.is_none()
        && !cfg.r1.due(cfg.step)
        && cfg.augment.policy == Policy::default()
        && cfg.d_steps <= 1
        && cfg.micro_batch == 0
}

/// Queues a step, and gathers all values to check in one tensor.
fn queue(
    players: &mut Players,
    inputs: (&Pictures, &StepNoise),
    cfg: &StepConfig,
    weights: &[(String, Var)],
) -> Result<(StepStats, Tensor)> {
    let stats = players.step(inputs.0, inputs.1, cfg)?;
    let entered: Vec<&Tensor> = named(inputs).map(|(_, input)| input).collect();
    let left: Vec<&Tensor> = weights.iter().map(|(_, var)| var.as_tensor()).collect();
    let gathered = stats.gathered([&count_non_finite(&entered)?, &count_non_finite(&left)?])?;
    Ok((stats, gathered))
}

impl Recorded {
    /// Records a step of players that were prepared for it. The players are not changed.
    fn new(
        players: &mut Players,
        inputs: (&Pictures, &StepNoise),
        cfg: &StepConfig,
        (weights, numbers): (&[(String, Var)], usize),
    ) -> candle_core::Result<Self> {
        let device = players.g().params.device().clone();
        let places = named(inputs)
            .map(|(_, input)| Var::from_tensor(&input.copy()?))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let mut rest = places.iter().map(Var::as_detached_tensor);
        let mut next = || rest.next().ok_or_else(|| missing("an input"));
        let (real, text) = (next()?, next()?);
        let wrong = inputs.0.wrong.is_some().then(&mut next).transpose()?;
        let pictures = Pictures { real, wrong, text, other_text: None };
        let mut noise = || -> candle_core::Result<GeneratorNoise> {
            Ok(GeneratorNoise { z: next()?, eps1: next()?, eps2: next()? })
        };
        let noise = StepNoise { d: noise()?, g: noise()? };
        let numbers = Var::zeros(numbers, DType::F32, &device)?;
        let mut names = None;
        let work = gpu::record(&device, || {
            let told = queue(players, (&pictures, &noise), cfg, weights);
            let (stats, gathered) = told.map_err(|e| candle_core::Error::Msg(e.to_string()))?;
            names = Some(stats.names());
            copy_all(&[(&numbers, &gathered)])
        })?;
        let names = names.ok_or_else(|| missing("what it tells"))?;
        Ok(Self { places, names, numbers, work })
    }

    /// Whether the inputs have the shapes of the recorded ones.
    fn fits(&self, inputs: (&Pictures, &StepNoise)) -> bool {
        let (mut theirs, mut ours) = (named(inputs), self.places.iter());
        let pairs = ours.by_ref().zip(theirs.by_ref());
        let same = pairs.fold(true, |all, (place, (_, input))| all && place.dims() == input.dims());
        same && ours.next().is_none() && theirs.next().is_none()
    }

    fn step(
        &mut self,
        players: &mut Players,
        inputs: (&Pictures, &StepNoise),
        cfg: &StepConfig,
        meanwhile: impl FnOnce(),
    ) -> Result<StepStats> {
        let inputs = named(inputs).map(|(_, input)| input);
        copy_all(&self.places.iter().zip(inputs).collect::<Vec<_>>())?;
        players.prepare(cfg)?;
        players.prepared_was_used();
        self.work.replay()?;
        meanwhile();
        let mut stats = self.names.clone();
        stats.look(cfg.step, &self.numbers.to_vec1::<f32>()?, COUNTS)?;
        Ok(stats)
    }
}

fn missing(what: &str) -> candle_core::Error {
    candle_core::Error::Msg(format!("recording a step: {what} is missing"))
}
