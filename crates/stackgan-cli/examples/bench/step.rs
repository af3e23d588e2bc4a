//! Times a training step: both players and both optimisers, under the guard, as `train::run` does
//! it. Loading is timed separately.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{NetConfig, Params, Recipe, generators};
use stackgan_train::Pretrained;
use stackgan_train::config::TrainConfig;
use stackgan_train::guard::Guard;
use stackgan_train::players::Players;
use stackgan_train::start::Start;
use stackgan_train::step::{Batch, Inputs, StepConfig, StepNoise};

use crate::machine::Machine;
use crate::nets;

/// Number of steps on a GPU between two readings of the clock.
const GROUP: u64 = 10;

/// Measures the milliseconds of each of `timed` steps (on a GPU: groups of steps), after some steps
/// that start threads, fill buffers and are recorded. Also measures the part of them that passes
/// until a GPU has been given its work.
pub(crate) fn bench(
    net: &NetConfig,
    (stage, (batch, part)): (u8, (usize, usize)),
    timed: usize,
    machine: &Machine,
) -> Result<Value> {
    let mut config = nets::training(net, stage, batch)?;
    config.knobs.micro_batch = part;
    let device = &machine.device;
    let low = if stage == 2 { Some(stage1(net, device)?) } else { None };
    let stage1 = low.as_ref().map(|params| (params, net));
    let mut players =
        Players::new(&config, stage1, &Start::default(), Pretrained::default(), device)?;
    let pictures = pictures(&config, device)?;
    let mut guard = Guard::over(&players, low.as_ref())?;
    let mut queued = Duration::ZERO;
    let mut take = |step: u64| -> Result<f64> {
        let started = Instant::now();
        let noise = StepNoise::draw(&config, step, batch, device)?;
        let settings = StepConfig::of(&config, step, 1.0);
        let inputs = Inputs { batch: pictures.clone(), noise };
        let stats = guard.step(&mut players, &inputs, &settings, || queued += started.elapsed())?;
        Ok(stats.get("d_loss")?)
    };
    let (warm, group) = if device.is_cpu() { (1, 1) } else { (5, GROUP) };
    let mut losses = (0..warm).map(&mut take).collect::<Result<Vec<f64>>>()?;
    let mut milliseconds = Vec::new();
    for first in (0..timed as u64).map(|i| warm + i * group) {
        let started = Instant::now();
        for step in first..first + group {
            losses.push(take(step)?);
        }
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3 / group as f64);
    }
    let steps = losses.len() as f64;
    losses.truncate(9);
    let queued = queued.as_secs_f64() * 1e3 / steps;
    let refused = guard.not_recorded();
    Ok(
        json!({ "ms": milliseconds, "queued_ms": queued, "d_loss": losses, "not_recorded": refused }),
    )
}

/// Returns the variables of a Stage-I generator, to be frozen for Stage-II.
pub(crate) fn stage1(net: &NetConfig, device: &Device) -> Result<Params> {
    let params = Params::fresh(Noise::new(0), "g1", device);
    drop(generators::stage1(net, &params.trained())?);
    Ok(params)
}

fn pictures(config: &TrainConfig, device: &Device) -> Result<Batch> {
    let (batch, size) = (config.optim.batch, config.stage.side());
    let draw = |sample, count: usize| Noise::new(1).normal(Stream::Test, 0, sample, count);
    let images = |sample| -> candle_core::Result<Tensor> {
        let values = draw(sample, batch * 3 * size * size);
        Tensor::from_vec(values, (batch, 3, size, size), device)?.tanh()
    };
    let text = draw(2, batch * config.net.text_dim);
    Ok(Batch {
        real: images(0)?,
        wrong: (config.net.recipe == Recipe::Residual).then(|| images(1)).transpose()?,
        text: Tensor::from_vec(text, (batch, config.net.text_dim), device)?,
        other_text: None,
    })
}
