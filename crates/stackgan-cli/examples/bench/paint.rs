//! Times pictures from embeddings, as generation paints them, and writes the model file for the
//! measurement of a process's start.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use stackgan_core::generator::Stage1Statistics;
use stackgan_core::generators::Low;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::text::{CharCnnRnn, CharCnnRnnConfig, CharCnnRnnEncoder};
use stackgan_core::{
    Model, NetConfig, Params, Parts, Recipe, Sampling, StageInfo, StagePart, TextPart, generators,
};

use crate::machine::Machine;
use crate::step::stage1;

/// Measures the milliseconds of each of `timed` rounds of `count` pictures, after one round to warm
/// up.
pub(crate) fn bench(
    net: &NetConfig,
    count: usize,
    timed: usize,
    machine: &Machine,
) -> Result<Value> {
    let device = &machine.device;
    let model = model(net, None, device)?;
    let text = Noise::new(1).normal(Stream::Test, 0, 0, count * net.text_dim);
    let text = Tensor::from_vec(text, (count, net.text_dim), device)?;
    let seeds: Vec<u64> = (0..count as u64).collect();
    let sampling = Sampling { chunk: count, ..Sampling::default() }; // as the peer, in one pass
    let mut milliseconds = Vec::new();
    for round in 0..=timed {
        device.synchronize()?;
        let started = Instant::now();
        let paintings = model.paint_embeddings(&text, &seeds, sampling)?;
        if round > 0 {
            milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        }
        drop(paintings);
    }
    Ok(json!({ "ms": milliseconds }))
}

/// Writes a complete model, with a text encoder of the release's size.
pub(crate) fn write(net: &NetConfig, file: &Path) -> Result<()> {
    let config = CharCnnRnnConfig { dim: net.text_dim, ..CharCnnRnnConfig::default() };
    let params = Params::fresh(Noise::new(0), "text", &Device::Cpu);
    CharCnnRnn::new(&config, &params.trained())?;
    let encoder = CharCnnRnnEncoder::new(config, params, None)?;
    Ok(std::fs::write(file, model(net, Some(encoder), &Device::Cpu)?.to_bytes()?)?)
}

fn model(net: &NetConfig, encoder: Option<CharCnnRnnEncoder>, device: &Device) -> Result<Model> {
    let (g1, g2) = (stage1(net, device)?, Params::fresh(Noise::new(0), "g2", device));
    let low = Low { net, scope: &g1.frozen(), statistics: Stage1Statistics::Batch };
    drop(generators::stage2(net, &low, &g2.trained())?);
    let stage = StageInfo {
        net: *net,
        truncated_epsilon: net.recipe == Recipe::Residual,
        sample_z: 1.0,
        sample_eps: 1.0,
        dataset: "none".to_owned(),
        dataset_fingerprint: String::new(),
        steps: 0,
        batch: 0,
        seed: 0,
        ema: 0.0,
    };
    let text = encoder.map_or_else(TextPart::unknown, TextPart::Inside);
    let stage1 = StagePart { info: stage.clone(), params: g1 };
    let stage2 = Some(StagePart { info: stage, params: g2 });
    Ok(Model::new(Parts { text, stage1, stage2 })?)
}
