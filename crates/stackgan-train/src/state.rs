//! Conversion of a run to a checkpoint and back, and to a model.

use std::path::PathBuf;

use stackgan_core::archive::Archive;
use stackgan_core::gan::Epsilon;
use stackgan_core::text::CharCnnRnnEncoder;
use stackgan_core::{Model, Params, Parts, StageInfo, StagePart, TextPart};

use crate::Result;
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

/// The model that a run had at a checkpoint. `run` is its model of any step: encoder, description and
/// Stage-I are taken from it.
///
/// # Errors
/// When the tensors of the checkpoint do not fit the model.
pub fn model_at(run: Model, (header, archive): (&Header, &Archive)) -> Result<Model> {
    let device = run.device().clone();
    let mut parts = run.into_parts();
    let average = archive.part("ema.");
    let weights = if average.is_empty() { archive.part("g.") } else { average };
    let low = archive.part("stage1.");
    let trained = match &mut parts.stage2 {
        Some(stage2) => {
            if !low.is_empty() {
                parts.stage1.params = Params::given(low, &device)?;
            }
            stage2
        }
        None => &mut parts.stage1,
    };
    trained.params = Params::given(weights, &device)?;
    trained.info.steps = header.step;
    Ok(Model::new(parts, &device)?)
}

/// The model after `step` steps: with the running average of G if there is one, else with G.
pub(crate) fn model(run: &Run, step: u64) -> Result<Model> {
    let setup = &run.setup;
    let device = &setup.device;
    let text = match &setup.encoder {
        Some(encoder) => TextPart::Inside(CharCnnRnnEncoder::from_tensors(
            *encoder.config(),
            &encoder.tensors()?,
            device,
        )?),
        None => TextPart::Beside {
            fingerprint: setup.embeddings.encoder().to_owned(),
            source: setup.encoder_source.clone(),
            standardise: run.standardise.clone(),
        },
    };
    let weights = match &run.ema {
        Some(ema) => ema.state(),
        None => run.players.g().params.values(), // copied below
    };
    let trained =
        StagePart { info: stage_info(run, step), params: Params::given(weights, device)? };
    let (stage1, stage2) = match (&setup.stage1, &run.stage1) {
        (Some(model), Some(low)) => {
            let info = model.info().stage1.clone();
            (StagePart { info, params: Params::given(low.values(), device)? }, Some(trained))
        }
        _ => (trained, None),
    };
    Ok(Model::new(Parts { text, stage1, stage2 }, device)?)
}

fn stage_info(run: &Run, step: u64) -> StageInfo {
    let (setup, cfg) = (&run.setup, &run.setup.config);
    let scales = cfg.sample_scales();
    StageInfo {
        net: cfg.net,
        truncated_epsilon: cfg.noise.epsilon == Epsilon::Truncated,
        sample_z: scales.z,
        sample_eps: scales.eps,
        dataset: setup.dataset.name().to_owned(),
        dataset_fingerprint: setup.dataset.fingerprint().to_owned(),
        steps: step,
        batch: cfg.optim.batch,
        seed: cfg.seed,
        ema: cfg.optim.ema,
    }
}
