//! Small models with random weights, large enough that a mistake shows in the picture, and with
//! running statistics as after training.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use stackgan_core::generator::Stage1Statistics;
use stackgan_core::generators::{self, Low};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::text::{
    CharCnnRnn, CharCnnRnnConfig, CharCnnRnnEncoder, Recurrence, Standardise, TextInit,
};
use stackgan_core::{Model, NetConfig, Params, Parts, Recipe, StageInfo, StagePart, TextPart};

/// Whether a model standardises its input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standardised {
    ByTheModel,
    Not,
}

fn random(sample: u64, tensor: &Tensor) -> Tensor {
    let values = Noise::new(9).normal(Stream::Test, 0, sample, tensor.elem_count());
    Tensor::from_vec(values, tensor.dims(), &Device::Cpu).unwrap()
}

/// Multiplies weights by `factor`, and sets gammas, betas and statistics that differ from those of
/// a fresh network.
fn loud(params: &Params, factor: f64) -> Params {
    let mut tensors: BTreeMap<String, Tensor> = params.snapshot().unwrap();
    for (i, (name, tensor)) in tensors.iter_mut().enumerate() {
        let noise = random(i as u64, tensor);
        *tensor = match name.rsplit('.').next() {
            _ if tensor.rank() >= 2 => &*tensor * factor,
            Some("running_var") => (noise.abs().unwrap() * 0.5).unwrap() + 0.5,
            _ => &*tensor + (noise * 0.3).unwrap(),
        }
        .unwrap();
    }
    Params::given(tensors, &Device::Cpu).unwrap()
}

pub(crate) fn encoder(recurrence: Recurrence, dim: usize) -> CharCnnRnnEncoder {
    let config =
        CharCnnRnnConfig { conv1: 8, conv2: 7, units: 6, dim, recurrence, ..Default::default() };
    let text = Params::fresh(Noise::new(1), "text", &Device::Cpu);
    CharCnnRnn::with_init(&config, TextInit::FanIn, &text.trained()).unwrap();
    CharCnnRnnEncoder::new(config, loud(&text, 2.0), None).unwrap()
}

pub(crate) fn model(recipe: Recipe, standardised: Standardised) -> Model {
    let net = NetConfig {
        recipe,
        gf: 4,
        df: 2,
        text_dim: 12,
        cond_dim: 6,
        z_dim: 5,
        residual_blocks: 2,
        channel_floor: 3,
    };
    let (g1, g2) = ["g1", "g2"].map(|n| Params::fresh(Noise::new(0), n, &Device::Cpu)).into();
    let low = Low { net: &net, scope: &g1.trained(), statistics: Stage1Statistics::Running };
    drop(generators::stage2(&net, &low, &g2.trained()).unwrap());
    let stage = StageInfo {
        net,
        truncated_epsilon: true,
        sample_z: 0.75,
        sample_eps: 0.5,
        dataset: "test".to_owned(),
        dataset_fingerprint: "0".to_owned(),
        steps: 0,
        batch: 2,
        seed: 0,
        ema: 0.0,
    };
    let encoder = encoder(Recurrence::Gru, net.text_dim);
    let encoder = match standardised {
        Standardised::Not => encoder,
        Standardised::ByTheModel => {
            let mean =
                random(99, &Tensor::zeros(12, candle_core::DType::F32, &Device::Cpu).unwrap());
            encoder.with_standardise(Some(Standardise::new(mean, 0.7).unwrap())).unwrap()
        }
    };
    let stage1 = StagePart { info: stage.clone(), params: loud(&g1, 7.0) };
    let stage2 = Some(StagePart { info: stage, params: loud(&g2, 7.0) });
    Model::new(Parts { text: TextPart::Inside(encoder), stage1, stage2 }).unwrap()
}

/// The same Stage-I alone, without an encoder.
pub(crate) fn without_stage2(model: &Model) -> Model {
    let stage1 = StagePart { info: model.info().stage1.clone(), params: model.stage1().shared() };
    let parts = Parts { text: TextPart::unknown(), stage1, stage2: None };
    Model::new(parts).unwrap()
}
