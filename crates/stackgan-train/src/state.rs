//! Conversion of a run to a checkpoint and back, and to a model.

use std::path::PathBuf;

use stackgan_core::archive::Archive;
use stackgan_core::gan::Epsilon;
use stackgan_core::text::{CharCnnRnnEncoder, TextEncoder};
use stackgan_core::{Model, ModelInfo, Params, StageInfo};

use crate::Result;
use crate::config::Stage;
use crate::reports::Seldom;
use crate::run::Run;
use crate::store::{Header, Store};

/// Saves a checkpoint with everything that the next step, or its report, depends on.
pub(crate) fn save(run: &Run, store: &Store, step: u64) -> Result<PathBuf> {
    let steps = (run.players.g().adam.steps(), run.players.d().adam.steps());
    let mut header = Header::new(step, steps, run.identity.digest.clone());
    header.config.clone_from(&run.identity.config);
    header.skipped = run.skipped.iter().copied().collect();
    header.r1 = run.seldom.0.map(|value| value as f32);
    store.save(archive(run)?, &header)
}

/// Everything that the next step depends on. The tensors are not copied, so the next step changes
/// them.
pub(crate) fn archive(run: &Run) -> Result<Archive> {
    let mut archive = run.players.state()?;
    if let Some(ema) = &run.ema {
        archive.extend("ema.", ema.state());
    }
    if let Some(stage1) = &run.stage1 {
        archive.extend("stage1.", stage1.values());
    }
    Ok(archive)
}

/// Restores a checkpoint of this run and returns its step count.
pub(crate) fn restore(run: &mut Run, (header, archive): (Header, Archive)) -> Result<u64> {
    run.players.restore(&archive, header.optimiser_steps)?;
    if let Some(ema) = &run.ema {
        ema.restore(&archive.part("ema."))?;
    }
    if let Some(stage1) = &run.stage1 {
        stage1.set(&archive.part("stage1."))?;
    }
    run.skipped = header.skipped.into_iter().collect();
    run.seldom = Seldom(header.r1.map(f64::from));
    Ok(header.step)
}

/// The model after `step` steps: with the running average of G if there is one, else with G.
pub(crate) fn model(run: &Run, step: u64) -> Result<Model> {
    let setup = &run.setup;
    let device = &setup.device;
    let encoder = match &setup.encoder {
        None => None,
        Some(encoder) => {
            Some(CharCnnRnnEncoder::from_tensors(*encoder.config(), &encoder.tensors()?, device)?)
        }
    };
    let weights = match &run.ema {
        Some(ema) => ema.state(),
        None => run.players.g().params.values(), // copied below
    };
    let trained = Params::given(weights, device)?;
    let info = stage_info(run, step);
    let (stage1_info, stage2_info) = match (setup.config.stage, &setup.stage1) {
        (Stage::Two, Some(model)) => (model.info().stage1.clone(), Some(info)),
        _ => (info, None),
    };
    let (stage1, stage2) = match &run.stage1 {
        None => (trained, None),
        Some(low) => (Params::given(low.values(), device)?, Some(trained)),
    };
    let fingerprint = encoder
        .as_ref()
        .map_or_else(|| setup.embeddings.encoder().to_owned(), TextEncoder::fingerprint);
    let info = ModelInfo {
        format: Model::format().to_owned(),
        encoder: encoder.as_ref().map(|e| *e.config()),
        encoder_fingerprint: fingerprint,
        encoder_source: setup.encoder_source.clone(),
        stage1: stage1_info,
        stage2: stage2_info,
    };
    // Without an encoder in the model; an encoder standardises by itself.
    let standardise = run.standardise.clone().filter(|_| encoder.is_none());
    Ok(Model::new(info, encoder, stage1, stage2, device)?.with_standardise(standardise)?)
}

fn stage_info(run: &Run, step: u64) -> StageInfo {
    let (setup, cfg) = (&run.setup, &run.setup.config);
    StageInfo {
        net: cfg.net,
        truncated_epsilon: cfg.noise.epsilon == Epsilon::Truncated,
        sample_z: cfg.sample_scales().0,
        sample_eps: cfg.sample_scales().1,
        dataset: setup.dataset.name().to_owned(),
        dataset_fingerprint: setup.dataset.fingerprint().to_owned(),
        steps: step,
        batch: cfg.optim.batch,
        seed: cfg.seed,
        ema: cfg.optim.ema,
    }
}
