//! A step whose numbers are looked at at its end; on a GPU it is queued once, recorded, and from then on replayed.
//!
//! A step is a thousand small launches, which cost a host more time than most of them cost the GPU. A replayed step is one. It
//! is the same work in the same order on the same tensors, so its numbers are the same to the bit. Steps that ask something
//! of the host are not recorded: those in which R1 is due, with spectral norm, augmentation, clipping, a tuned Stage-I, chosen wrong pairs,
//! or several steps of D for one of G. Steps in parts (`micro_batch`) are not recorded either.

use candle_core::{DType, Tensor, Var};
use stackgan_core::gan::GeneratorNoise;
use stackgan_kernels::{copy_all, count_non_finite, gpu};

use crate::Result;
use crate::diff_augment::Policy;
use crate::guard::named;
use crate::players::Players;
use crate::step::{Pictures, StepConfig, StepNoise, StepStats};

/// Steps before the one that is recorded: the first finds cuDNN's algorithms and loads kernels, the second is the rehearsal.
const BEFORE: u32 = 2;

/// What is counted of values that are no numbers, by name.
const COUNTS: [&str; 2] = ["input", "weights"];

/// Takes steps, and records them where it can.
#[derive(Default, Debug)]
pub(crate) struct Recording {
    taken: u32,
    /// How many numbers a step tells.
    numbers: usize,
    rehearsal: Option<gpu::Rehearsal>,
    recorded: Option<Recorded>,
    refused: Option<candle_core::Error>,
}

/// A step that was recorded, with the tensors that it reads and the one that it tells its numbers in.
#[derive(Debug)]
struct Recorded {
    places: Vec<Var>, // of the inputs, in the order of `named`
    names: StepStats,
    numbers: Var,
    work: gpu::Recorded,
}

impl Recording {
    /// One step, looked at at its end; `meanwhile` is called when it has been queued. `weights` are looked at too.
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

    /// Why steps are not recorded, where that was tried.
    pub(crate) const fn refused(&self) -> Option<&candle_core::Error> {
        self.refused.as_ref()
    }
}

/// A step that is queued and looked at, and how many numbers it told.
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

/// Whether a step asks nothing of the host.
fn possible(players: &Players, pictures: &Pictures, cfg: &StepConfig) -> bool {
    gpu::can_record(players.g().params.device())
        && players.is_plain_game()
        && pictures.other_text.is_none()
        && !cfg.r1.due(cfg.step)
        && cfg.augment.policy == Policy::default()
        && cfg.d_steps <= 1
        && cfg.micro_batch == 0
}

/// Queues a step, and the one tensor of all that is looked at.
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
    /// Records a step of players that were prepared for it; nothing of them is changed.
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

    /// Whether these inputs have the sizes of those that were recorded.
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
