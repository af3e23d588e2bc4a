//! Times whole training steps on random pictures: `cargo run --release -p stackgan-train --example step_time [PRESET…]`.
//!
//! Prints the median of seven steps after two to warm up. For comparisons use ratios of one run: machines are noisy.
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::time::Instant;

use candle_core::{Device, Tensor};
use stackgan_core::Params;
use stackgan_core::noise::{Noise, Stream};
use stackgan_train::config::{Stage, TrainConfig, preset};
use stackgan_train::players::players;
use stackgan_train::step::{Pictures, StepConfig, StepNoise};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ["toy-stage1", "toy-stage2"].map(str::to_owned).into();
    }
    for name in names {
        let cfg = TrainConfig::from_toml(preset(&name).ok_or("no such preset")?)?;
        println!("{name}: {:.1} ms a step of {}", median_step(&cfg)? * 1e3, cfg.optim.batch);
    }
    Ok(())
}

fn median_step(cfg: &TrainConfig) -> Result<f64, Box<dyn std::error::Error>> {
    let (device, noise) = (Device::Cpu, Noise::new(cfg.seed));
    let random = |shape: &[usize], sample| {
        let n = shape.iter().product();
        Tensor::from_vec(noise.normal(Stream::Test, 0, sample, n), shape, &device)
    };
    let low = Params::fresh(noise, "g1", &device);
    let low_cfg = TrainConfig { stage: Stage::One, ..cfg.clone() };
    let stage1 = players(&low_cfg, None, &device)?;
    let low = match cfg.stage {
        Stage::One => low,
        Stage::Two => Params::given(stage1.g().params.snapshot()?, &device)?,
    };
    let mut game = players(cfg, Some((&low, &cfg.net)), &device)?;
    let (b, size) = (cfg.optim.batch, cfg.stage.picture_size().crop());
    let batch = Pictures {
        real: random(&[b, 3, size, size], 0)?.tanh()?,
        wrong: Some(random(&[b, 3, size, size], 1)?.tanh()?),
        text: random(&[b, cfg.net.text_dim], 2)?,
    };
    let mut times = Vec::new();
    for step in 0..9 {
        let net = (&cfg.net, cfg.noise.epsilon.into(), &device);
        let step_noise = StepNoise::draw(noise, step, b, (1.0, 1.0), net)?;
        let step_cfg = StepConfig {
            step: step + 1, // without the penalty, which is taken every few steps
            lr_g: 2e-4,
            lr_d: 2e-4,
            kl: cfg.loss.kl,
            r1: cfg.loss.r1,
            colour_consistency: cfg.loss.colour_consistency,
        };
        let started = Instant::now();
        game.step(&batch, &step_noise, &step_cfg)?;
        times.push(started.elapsed().as_secs_f64());
    }
    times.drain(..2);
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
