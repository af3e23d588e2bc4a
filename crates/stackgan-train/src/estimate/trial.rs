//! Steps, a grid and a checkpoint of fresh networks on drawn pictures, to be timed.
//!
//! Nothing of a dataset is needed. What takes time in a run's loop is here: both players, their guard, the running average.
//! A loader prepares batches beside the steps, so it is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{
    Model, NetConfig, Params, Parts, Sampling, Stage, StageInfo, StagePart, TextPart, generators,
    residual,
};
use stackgan_data::plan::WrongPairs;
use stackgan_kernels::memory;

use crate::Result;
use crate::config::TrainConfig;
use crate::ema::Ema;
use crate::guard::Guard;
use crate::players::Players;
use crate::pretrained::Pretrained;
use crate::run_files::MODEL;
use crate::samples::{COLUMNS, ROWS, Samples};
use crate::start::Start;
use crate::step::{Batch, Inputs, StepConfig, StepNoise};
use crate::store::{Header, Store, write_atomically};

/// Steps before those that are timed on a CPU: the first starts threads and fills buffers.
const BEFORE: usize = 1;

/// The same on a GPU: the first finds algorithms, and the third is recorded.
const BEFORE_ON_GPU: usize = 4;

/// Most steps of a kind that are timed.
const MOST: u32 = 200;

/// Most steps in which the kinds are counted.
const CYCLE: u64 = 4096;

/// What is timed: the networks of a run on a device, with Stage-I of the sizes `low` under Stage-II, and with the networks through
/// which its losses look: they take a share of each step.
#[derive(Clone, Copy, Debug)]
pub struct Timed<'a> {
    /// The run's settings.
    pub cfg: &'a TrainConfig,
    /// The sizes of Stage-I under Stage-II; any for Stage-I.
    pub low: &'a NetConfig,
    /// The networks through which its losses look.
    pub pretrained: &'a Pretrained,
    /// The device.
    pub device: &'a Device,
}

/// For how long steps are timed: until so many are taken and so many seconds have passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) steps: u32,
    pub(super) seconds: f64,
}

/// The networks of a run, at one size of the batch.
#[derive(Debug)]
pub(super) struct Trial {
    cfg: TrainConfig,
    low: NetConfig,
    device: Device,
    stage1: Option<Params>,
    players: Players,
    guard: Guard,
    ema: Option<Ema>,
    pictures: Batch,
}

impl Trial {
    /// Of batches of `batch` pictures, in parts if it is the run's own batch.
    pub(super) fn new(of: &Timed<'_>, batch: usize) -> Result<Self> {
        let (mut cfg, device) = (of.cfg.clone(), of.device.clone());
        if batch != cfg.optim.batch {
            (cfg.optim.batch, cfg.knobs.micro_batch) = (batch, 0);
        }
        let low = *of.low;
        let stage1 = (cfg.stage == Stage::Two).then(|| fresh_stage1(&low, &device)).transpose()?;
        let mut start = Start::default();
        if cfg.knobs.finetune_stage1 > 0.0 {
            let d = Params::fresh(Noise::new(0), "d1", &device);
            drop(residual::Discriminator::stage1(&low, &d.trained())?);
            start.stage1_discriminator = Some(d.snapshot()?);
        }
        let beneath = stage1.as_ref().map(|params| (params, &low));
        let players = Players::new(&cfg, beneath, &start, of.pretrained.shared(), &device)?;
        let guard = Guard::over(&players, stage1.as_ref())?;
        let decay = Some(cfg.optim.ema).filter(|decay| *decay > 0.0);
        let ema = decay.map(|decay| Ema::new(&players.g().params, decay)).transpose()?;
        let pictures = pictures(&cfg, &device)?;
        Ok(Self { cfg, low, device, stage1, players, guard, ema, pictures })
    }

    /// Seconds of a step, in the mean over the kinds of steps that a run has: those with the penalty, and those in which G moves.
    pub(super) fn seconds_a_step(&mut self, effort: Effort) -> Result<f64> {
        let (cpu, mut seconds) = (self.device.is_cpu(), 0.0);
        for (at, (share, steps)) in kinds(&self.cfg).into_iter().enumerate() {
            let before = match (cpu, at) {
                (true, 0) => BEFORE,
                (true, _) => 0,
                (false, 0) => BEFORE_ON_GPU,
                (false, _) => 1,
            };
            // The commonest kind comes first, and is timed for longer than the others.
            let longest = if at == 0 { effort.seconds } else { 0.0 };
            let mut steps = steps.into_iter().cycle();
            steps.by_ref().take(before).try_for_each(|step| self.step(step))?;
            self.device.synchronize()?;
            let (started, mut taken) = (Instant::now(), 0);
            for step in steps {
                self.step(step)?;
                taken += 1;
                let over = started.elapsed().as_secs_f64() >= longest || taken >= MOST;
                if taken >= effort.steps && over {
                    break;
                }
            }
            self.device.synchronize()?;
            seconds += share * started.elapsed().as_secs_f64() / f64::from(taken);
        }
        Ok(seconds)
    }

    fn step(&mut self, step: u64) -> Result<()> {
        let noise = StepNoise::draw(&self.cfg, step, self.cfg.optim.batch, &self.device)?;
        let inputs = Inputs { batch: self.pictures.clone(), noise };
        let cfg = StepConfig::of(&self.cfg, step, 1.0);
        self.guard.step(&mut self.players, &inputs, &cfg, || {})?;
        match self.ema.as_ref().filter(|_| cfg.generator_moves()) {
            Some(ema) => Ok(ema.follow(self.players.g().adam.steps())?),
            None => Ok(()),
        }
    }

    /// Seconds of a grid, from one of its rows.
    pub(super) fn grid(&self) -> Result<f64> {
        let started = Instant::now();
        let model = self.model()?;
        let begun = Instant::now();
        let columns = COLUMNS as usize;
        let text = draw(3, columns * self.cfg.net.text_dim);
        let text = Tensor::from_vec(text, (columns, self.cfg.net.text_dim), &self.device)?;
        let seeds: Vec<u64> = (0..COLUMNS).collect();
        let row = model.paint_embeddings(&text, &seeds, Sampling::default())?;
        let row: Vec<_> = row.into_iter().map(|painting| painting.picture).collect();
        let others = begun.elapsed().mul_f64((ROWS - 1) as f64);
        let grid: Vec<_> = row.iter().cycle().take(ROWS * columns).cloned().collect();
        drop(Samples::png(&grid)?);
        Ok((started.elapsed() + others).as_secs_f64())
    }

    /// Seconds of a checkpoint and its model file, in `folder`. What it writes there stays.
    pub(super) fn save(&self, folder: &Path) -> Result<f64> {
        let started = Instant::now();
        let mut archive = self.players.state();
        archive.extend("ema.", self.ema.as_ref().map(Ema::state).unwrap_or_default());
        archive.extend("stage1.", self.stage1.as_ref().map(Params::values).unwrap_or_default());
        let steps = (self.players.g().adam.steps(), self.players.d().adam.steps());
        Store::open(folder, 2)?.save(archive, &Header::new(1, steps, String::new()))?;
        write_atomically(&folder.join(MODEL), &self.model()?.to_bytes()?)?;
        Ok(started.elapsed().as_secs_f64())
    }

    fn model(&self) -> Result<Model> {
        let part = |net, weights: BTreeMap<String, Tensor>| -> Result<StagePart> {
            let info = StageInfo::imported(net, "");
            Ok(StagePart { info, params: Params::given(weights, &self.device)? })
        };
        let g = || self.players.g().params.values();
        let trained = part(self.cfg.net, self.ema.as_ref().map_or_else(g, Ema::state))?;
        let text = TextPart::unknown();
        let parts = match &self.stage1 {
            Some(low) => {
                let stage1 = part(self.low, low.values())?;
                Parts { text, stage1, stage2: Some(trained) }
            }
            None => Parts { text, stage1: trained, stage2: None },
        };
        Ok(Model::new(parts)?)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        memory::release(); // or the run would begin with this one's
    }
}

/// The kinds of steps that a run has, the commonest first: the share of each, and steps of that kind.
fn kinds(cfg: &TrainConfig) -> Vec<(f64, Vec<u64>)> {
    let r1 = if cfg.loss.r1.gamma > 0.0 { cfg.loss.r1.every.max(1) } else { 1 };
    let cycle = r1.saturating_mul(cfg.knobs.d_steps.max(1)).min(CYCLE);
    let mut kinds: BTreeMap<(bool, bool), Vec<u64>> = BTreeMap::new();
    for step in 0..cycle {
        let of = StepConfig::of(cfg, step, 1.0);
        kinds.entry((of.loss.r1.due(step), of.generator_moves())).or_default().push(step);
    }
    let share = |steps: Vec<u64>| (steps.len() as f64 / cycle as f64, steps);
    let mut kinds: Vec<_> = kinds.into_values().map(share).collect();
    kinds.sort_by(|a, b| b.0.total_cmp(&a.0));
    kinds
}

fn draw(sample: u64, n: usize) -> Vec<f32> {
    Noise::new(0).normal(Stream::Test, 0, sample, n)
}

fn pictures(cfg: &TrainConfig, device: &Device) -> Result<Batch> {
    let (batch, side) = (cfg.optim.batch, cfg.stage.side());
    let images = |sample| -> candle_core::Result<Tensor> {
        let values = draw(sample, batch * 3 * side * side);
        Tensor::from_vec(values, (batch, 3, side, side), device)?.tanh()
    };
    let text = draw(2, batch * cfg.net.text_dim);
    Ok(Batch {
        real: images(0)?,
        wrong: (cfg.plan().wrong != WrongPairs::None).then(|| images(1)).transpose()?,
        text: Tensor::from_vec(text, (batch, cfg.net.text_dim), device)?,
        other_text: None,
    })
}

pub(super) fn fresh_stage1(net: &NetConfig, device: &Device) -> Result<Params> {
    let params = Params::fresh(Noise::new(0), "g1", device);
    drop(generators::stage1(net, &params.trained())?);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn kinds_of_steps_are_counted() {
        let mut cfg = TrainConfig::from_toml(preset("toy-stage1").unwrap()).unwrap();
        let shares = |cfg: &TrainConfig| -> Vec<(f64, u64)> {
            kinds(cfg).into_iter().map(|(share, steps)| (share, steps[0])).collect()
        };
        assert_eq!(shares(&cfg), [(7.0 / 8.0, 1), (1.0 / 8.0, 0)], "R1 in every eighth");
        (cfg.loss.r1.every, cfg.knobs.d_steps) = (3, 2);
        let four = shares(&cfg);
        assert_eq!(four.len(), 4, "{four:?}");
        assert!((four.iter().map(|kind| kind.0).sum::<f64>() - 1.0).abs() < 1e-9);
        cfg.loss.r1.every = u64::MAX;
        assert_eq!(shares(&cfg).len(), 3);
        (cfg.loss.r1.gamma, cfg.knobs.d_steps) = (0.0, 1);
        assert_eq!(shares(&cfg), [(1.0, 0)]);
    }
}
