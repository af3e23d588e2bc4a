//! Steps that are checked at their end. On a GPU a step is recorded once and then replayed.
//!
//! A step is a thousand small launches, which cost the host more time than most of them cost the
//! GPU. A replayed step is a single launch. It does the same work in the same order on the same
//! tensors, so its results are equal to the bit.
//!
//! Steps with R1 do other work than those without, and are recorded on their own. Steps that need
//! something from the host are not recorded: those with spectral norm, gradient clipping, a
//! fine-tuned Stage-I, class-checked wrong pairs, or several steps of D for each of G. Steps in parts
//! (`micro_batch`) are not recorded either.

use candle_core::{DType, Tensor, Var};
use stackgan_kernels::{copy_all, count_non_finite, gpu};

use crate::players::Players;
use crate::step::{Inputs, StepConfig, StepStats};
use crate::{Error, Result};

/// Steps of a kind before the recorded one. The first selects cuDNN's algorithms and loads kernels;
/// the second is the rehearsal.
const BEFORE: u32 = 2;

/// The names of the two counts of non-finite values.
const COUNTS: [&str; 2] = ["input", "weights"];

/// Takes steps, and records them if possible.
#[derive(Default, Debug)]
pub(crate) struct Recording {
    plain: Kind,
    with_r1: Kind,
}

/// Steps that do the same work.
#[derive(Default, Debug)]
struct Kind {
    taken: u32,
    /// The number of values that a step returns.
    numbers: usize,
    recorded: Option<Recorded>,
    /// Why they are not recorded.
    refused: Option<candle_core::Error>,
}

/// A recorded step, with its input tensors and the tensor that receives its results.
#[derive(Debug)]
struct Recorded {
    places: Vec<Var>, // of the inputs, in their order
    names: StepStats,
    numbers: Var,
    work: gpu::Recorded,
    /// Whether it was replayed before.
    replayed: bool,
}

impl Recording {
    /// Takes one step and checks it, and `weights`, at its end.
    ///
    /// `meanwhile` is called once the step has been queued.
    pub(crate) fn step(
        &mut self,
        players: &mut Players,
        inputs: &Inputs,
        cfg: &StepConfig,
        weights: &[(String, Var)],
        meanwhile: impl FnOnce(),
    ) -> Result<StepStats> {
        let Self { plain, with_r1 } = self;
        let kind = if cfg.loss.r1.due(cfg.step) { with_r1 } else { plain };
        let fits = kind.recorded.as_ref().is_none_or(|recorded| recorded.fits(inputs));
        if kind.refused.is_some() || !fits || !possible(players, inputs, cfg) {
            return Ok(queued(players, inputs, cfg, weights, meanwhile)?.0);
        }
        if kind.taken < BEFORE {
            let rehearsed = kind.taken + 1 == BEFORE;
            let _rehearsal =
                rehearsed.then(|| gpu::rehearse(players.g().params.device())).transpose()?;
            let (stats, numbers) = queued(players, inputs, cfg, weights, meanwhile)?;
            (kind.taken, kind.numbers) = (kind.taken + 1, numbers);
            return Ok(stats);
        }
        if kind.recorded.is_none() {
            players.prepare(cfg)?;
            let recorded = Recorded::new(players, inputs, cfg, (weights, kind.numbers));
            players.unprepare();
            match recorded {
                Ok(recorded) => kind.recorded = Some(recorded),
                Err(error) => kind.refused = Some(error),
            }
        }
        if let Some(recorded) = &mut kind.recorded {
            match recorded.replay(players, inputs, cfg)? {
                Ok(()) => {
                    meanwhile();
                    return recorded.told(cfg);
                }
                // Its memory may not fit beside that of queued steps. Nothing was executed.
                Err(error) if !recorded.replayed => kind.refused = Some(error),
                Err(error) => return Err(error.into()),
            }
            kind.recorded = None;
        }
        Ok(queued(players, inputs, cfg, weights, meanwhile)?.0)
    }

    /// After a step that failed, or work between steps: whether it may succeed now, because it found
    /// no memory beside a recorded step. The memory of recorded steps is given back, and none is
    /// recorded any more.
    pub(crate) fn gives_way(&mut self, error: &Error) -> bool {
        if !gpu::memory_is_full(error) {
            return false;
        }
        if [&self.plain, &self.with_r1].into_iter().all(|kind| kind.recorded.is_none()) {
            return false;
        }
        let beside = format!("no memory for other work beside a recorded step: {error}");
        for kind in [&mut self.plain, &mut self.with_r1] {
            kind.recorded = None;
            kind.refused.get_or_insert(candle_core::Error::Msg(beside.clone()));
        }
        true
    }

    /// The error that prevented recording, if it was tried and failed.
    pub(crate) fn refused(&self) -> Option<&candle_core::Error> {
        self.plain.refused.as_ref().or(self.with_r1.refused.as_ref())
    }
}

/// Queues and checks a step. Also returns the number of values that it reported.
fn queued(
    players: &mut Players,
    inputs: &Inputs,
    cfg: &StepConfig,
    weights: &[(String, Var)],
    meanwhile: impl FnOnce(),
) -> Result<(StepStats, usize)> {
    let (mut stats, numbers) = queue(players, inputs, cfg, weights)?;
    meanwhile();
    let numbers = numbers.to_vec1::<f32>()?;
    stats.check_deferred(cfg.step, &numbers, COUNTS)?;
    Ok((stats, numbers.len()))
}

/// Whether a step needs nothing from the host.
fn possible(players: &Players, inputs: &Inputs, cfg: &StepConfig) -> bool {
    gpu::can_record(players.g().params.device())
        && cfg.knobs.can_be_recorded()
        && inputs.batch.other_text.is_none()
}

/// Queues a step, and gathers all values to check in one tensor.
fn queue(
    players: &mut Players,
    inputs: &Inputs,
    cfg: &StepConfig,
    weights: &[(String, Var)],
) -> Result<(StepStats, Tensor)> {
    let stats = players.step(inputs, cfg)?;
    let entered: Vec<&Tensor> = inputs.numbers().map(|(_, input)| input).collect();
    let left: Vec<&Tensor> = weights.iter().map(|(_, var)| var.as_tensor()).collect();
    let gathered = stats.gathered([&count_non_finite(&entered)?, &count_non_finite(&left)?])?;
    Ok((stats, gathered))
}

impl Recorded {
    /// Records a step of players that were prepared for it. The players are not changed.
    fn new(
        players: &mut Players,
        inputs: &Inputs,
        cfg: &StepConfig,
        (weights, numbers): (&[(String, Var)], usize),
    ) -> candle_core::Result<Self> {
        let device = players.g().params.device().clone();
        let mut places = Vec::new();
        let placed = inputs.map(|input| {
            let place = Var::from_tensor(&input.copy()?)?;
            let tensor = place.as_detached_tensor();
            places.push(place);
            Ok(tensor)
        })?;
        let numbers = Var::zeros(numbers, DType::F32, &device)?;
        let mut names = None;
        let work = gpu::record(&device, || {
            let told = queue(players, &placed, cfg, weights);
            let (stats, gathered) = told.map_err(|e| candle_core::Error::Msg(e.to_string()))?;
            names = Some(stats.names());
            copy_all(&[(&numbers, &gathered)])
        })?;
        let missing = "recording a step: what it tells is missing";
        let names = names.ok_or_else(|| candle_core::Error::Msg(missing.to_owned()))?;
        Ok(Self { places, names, numbers, work, replayed: false })
    }

    /// Whether the inputs have the shapes of the recorded ones.
    fn fits(&self, inputs: &Inputs) -> bool {
        let theirs = inputs.numbers().map(|(_, input)| input.dims());
        self.places.iter().map(|place| place.dims()).eq(theirs)
    }

    /// Queues the step. The inner error is that of the replay, after which the players are as
    /// before.
    fn replay(
        &mut self,
        players: &mut Players,
        inputs: &Inputs,
        cfg: &StepConfig,
    ) -> Result<candle_core::Result<()>> {
        let inputs = inputs.numbers().map(|(_, input)| input);
        copy_all(&self.places.iter().zip(inputs).collect::<Vec<_>>())?;
        players.prepare(cfg)?;
        let replayed = self.work.replay();
        match replayed {
            Ok(()) => players.prepared_was_used(),
            Err(_) => players.unprepare(),
        }
        self.replayed |= replayed.is_ok();
        Ok(replayed)
    }

    /// Waits for the step that was queued, and checks what it tells.
    fn told(&self, cfg: &StepConfig) -> Result<StepStats> {
        let mut stats = self.names.clone();
        stats.check_deferred(cfg.step, &self.numbers.to_vec1::<f32>()?, COUNTS)?;
        Ok(stats)
    }
}
