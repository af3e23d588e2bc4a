//! The time of a step, from steps of the run's own networks.

use std::time::Instant;

use candle_core::{Device, Tensor};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{NetConfig, Params, Stage, generators};
use stackgan_data::plan::WrongPairs;
use stackgan_kernels::memory;

use crate::Result;
use crate::config::TrainConfig;
use crate::matching::Matcher;
use crate::players::Players;
use crate::start::Start;
use crate::step::{Batch, Checks, Inputs, StepConfig, StepNoise};

/// Batches that are timed on a CPU.
const TIMED: [usize; 2] = [2, 6];

/// Steps of the whole batch that are timed on a GPU.
const ON_GPU: u64 = 3;

/// Seconds that a step takes on `device` as it is now. On a CPU: steps of the run's own networks at two small batches, and a
/// straight line through them; takes as long as about sixteen pictures do. On a GPU, where small batches say little of
/// large ones: steps of the whole batch, after one that finds algorithms. A batch in parts takes as long as they do. With what
/// matches pictures and captions, where the run has it: it takes a share of each step.
///
/// # Errors
/// When memory cannot be had, or the device fails.
pub fn seconds_a_step(
    cfg: &TrainConfig,
    low: &NetConfig,
    matcher: Option<&Matcher>,
    device: &Device,
) -> Result<f64> {
    let (part, parts) = (cfg.micro_batch(), cfg.optim.batch as f64 / cfg.micro_batch() as f64);
    let mut cfg = cfg.clone();
    // One step of both players, whatever the knobs say of their turns; Stage-I's own game needs its discriminator.
    (cfg.knobs.d_steps, cfg.knobs.finetune_stage1) = (1, 0.0);
    if !device.is_cpu() {
        return time(&cfg, (low, matcher), (device, ON_GPU));
    }
    let mut points = Vec::new();
    for batch in TIMED.map(|batch| batch.min(part)) {
        cfg.optim.batch = batch;
        points.push((batch as f64, time(&cfg, (low, matcher), (device, 1))?));
    }
    let [(small, less), (large, more)] = points[..] else { return Ok(0.0) };
    let slope = if large > small { ((more - less) / (large - small)).max(0.0) } else { 0.0 };
    Ok(parts * (more + slope * (part as f64 - large)))
}

/// Seconds of one of `steps` steps after the first, which starts threads, fills buffers and finds algorithms.
fn time(
    cfg: &TrainConfig,
    (low, matcher): (&NetConfig, Option<&Matcher>),
    (device, steps): (&Device, u64),
) -> Result<f64> {
    let batch = cfg.optim.batch;
    let stage1 = (cfg.stage == Stage::Two).then(|| fresh_stage1(low, device)).transpose()?;
    let stage1 = stage1.as_ref().map(|params| (params, low));
    let matcher = matcher.map(Matcher::shared);
    let mut players = Players::new(cfg, stage1, &Start::default(), matcher, device)?;
    let side = cfg.stage.side();
    let draw = |sample, n| Noise::new(0).normal(Stream::Test, 0, sample, n);
    let images = |sample| -> candle_core::Result<Tensor> {
        let values = draw(sample, batch * 3 * side * side);
        Tensor::from_vec(values, (batch, 3, side, side), device)?.tanh()
    };
    let text = draw(2, batch * cfg.net.text_dim);
    let pictures = Batch {
        real: images(0)?,
        wrong: (cfg.plan().wrong != WrongPairs::None).then(|| images(1)).transpose()?,
        text: Tensor::from_vec(text, (batch, cfg.net.text_dim), device)?,
        other_text: None,
    };
    let mut started = Instant::now();
    for step in 0..=steps {
        if step == 1 {
            device.synchronize()?;
            started = Instant::now();
        }
        let noise = StepNoise::draw(cfg, step, batch, device)?;
        let inputs = Inputs { batch: pictures.clone(), noise };
        let cfg = StepConfig { checks: Checks::on(device), ..StepConfig::of(cfg, step, 1.0) };
        players.step(&inputs, &cfg)?;
    }
    device.synchronize()?;
    let seconds = started.elapsed().as_secs_f64();
    drop(players);
    memory::release(); // or the run would begin with this one's
    Ok(seconds / steps as f64)
}

pub(super) fn fresh_stage1(net: &NetConfig, device: &Device) -> Result<Params> {
    let params = Params::fresh(Noise::new(0), "g1", device);
    drop(generators::stage1(net, &params.trained())?);
    Ok(params)
}
