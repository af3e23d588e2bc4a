//! One step of the game: both players, both optimisers, as `train::run` takes it. Loading is timed on its own.

use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{NetConfig, Params, Recipe, plain, residual};
use stackgan_train::config::TrainConfig;
use stackgan_train::players::players;
use stackgan_train::step::{Looks, Pictures, StepConfig, StepNoise, StepStats};

use crate::machine::Machine;
use crate::nets;

/// Steps on a GPU between two looks at the clock: nothing is read from it in between, as in training between reports.
const GROUP: u64 = 10;

/// Milliseconds of each of `timed` steps (groups of steps on a GPU), after some that start threads and fill buffers.
pub(crate) fn bench(
    net: &NetConfig,
    (stage, batch): (u8, usize),
    timed: usize,
    machine: &Machine,
) -> Result<Value> {
    let config = nets::training(net, stage, batch)?;
    let (device, noise) = (&machine.device, Noise::new(config.seed));
    let low = if stage == 2 { Some(stage1(net, device)?) } else { None };
    let mut players = players(&config, low.as_ref().map(|params| (params, net)), device)?;
    let pictures = pictures(&config, device)?;
    let mut take = |step: u64| -> Result<StepStats> {
        let draws = (net, config.noise.epsilon.into(), device);
        let noise = StepNoise::draw(noise, step, batch, config.train_scales(), draws)?;
        let settings = StepConfig::of(&config, step, 1.0);
        let settings = StepConfig { looks: Looks::on(device), ..settings };
        Ok(players.step(&pictures, &noise, &settings)?)
    };
    let (warm, group) = if device.is_cpu() { (1, 1) } else { (4, GROUP) };
    let mut losses = Vec::new();
    for step in 0..warm {
        losses.push(take(step)?.get("d_loss")?);
    }
    let mut milliseconds = Vec::new();
    for first in (0..timed as u64).map(|i| warm + i * group) {
        device.synchronize()?;
        let started = Instant::now();
        let mut last = StepStats::default();
        for step in first..first + group {
            last = take(step)?;
        }
        let loss = last.get("d_loss")?;
        device.synchronize()?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3 / group as f64);
        losses.push(loss);
    }
    Ok(json!({ "ms": milliseconds, "d_loss": losses }))
}

/// The variables of a Stage-I generator, to be frozen under Stage-II.
pub(crate) fn stage1(net: &NetConfig, device: &Device) -> Result<Params> {
    let params = Params::fresh(Noise::new(0), "g1", device);
    match net.recipe {
        Recipe::Residual => drop(residual::Stage1Generator::new(net, &params.trained())?),
        Recipe::Plain => drop(plain::Stage1Generator::new(net, &params.trained())?),
    }
    Ok(params)
}

fn pictures(config: &TrainConfig, device: &Device) -> Result<Pictures> {
    let (batch, size) = (config.optim.batch, config.stage.picture_size().crop());
    let draw = |sample, count: usize| Noise::new(1).normal(Stream::Test, 0, sample, count);
    let images = |sample| -> candle_core::Result<Tensor> {
        let values = draw(sample, batch * 3 * size * size);
        Tensor::from_vec(values, (batch, 3, size, size), device)?.tanh()
    };
    let text = draw(2, batch * config.net.text_dim);
    Ok(Pictures {
        real: images(0)?,
        wrong: (config.net.recipe == Recipe::Residual).then(|| images(1)).transpose()?,
        text: Tensor::from_vec(text, (batch, config.net.text_dim), device)?,
        other_text: None,
    })
}
