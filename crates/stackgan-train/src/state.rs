//! A run to a checkpoint and back, and to a model.

use std::path::PathBuf;

use stackgan_core::archive::Archive;
use stackgan_core::text::{CharCnnRnnEncoder, TextEncoder};
use stackgan_core::{Model, ModelInfo, Params, StageInfo};

use crate::config::{EpsilonName, Stage};
use crate::run::Run;
use crate::store::{Header, Store, sha256};
use crate::{Error, Result};

/// Writes everything that the next step depends on.
pub(crate) fn save(run: &Run, store: &Store, step: u64) -> Result<PathBuf> {
    let (g, d) = (run.players.g(), run.players.d());
    let mut archive = Archive::default();
    for (prefix, player) in [("g.", g), ("d.", d)] {
        archive.extend(prefix, player.params.snapshot()?);
        archive.extend(&format!("adam.{prefix}"), player.adam.state());
    }
    if let Some(ema) = &run.ema {
        archive.extend("ema.", ema.state());
    }
    if let Some(stage1) = &run.stage1 {
        archive.extend("stage1.", stage1.snapshot()?);
    }
    store.save(archive, Header::new(step, (g.adam.steps(), d.adam.steps()), digest(run)?))
}

/// Takes up a checkpoint; returns the steps behind it.
pub(crate) fn restore(run: &mut Run, (header, archive): (Header, Archive)) -> Result<u64> {
    let ours = digest(run)?;
    if header.digest != ours {
        return Err(Error::Config {
            key: "configuration".to_owned(),
            expected: format!(
                "the configuration and data of the checkpoint ({})",
                short(&header.digest)
            ),
            found: format!("others ({})", short(&ours)),
            remedy: "resume with the config.toml of the run folder, or train in another folder"
                .to_owned(),
        });
    }
    let steps = [header.optimiser_steps.0, header.optimiser_steps.1];
    for ((player, prefix), steps) in run.players.both_mut().into_iter().zip(["g.", "d."]).zip(steps)
    {
        player.params.set(&archive.part(prefix))?;
        player.adam.restore(&archive.part(&format!("adam.{prefix}")), steps)?;
    }
    if let Some(ema) = &run.ema {
        ema.restore(&archive.part("ema."))?;
    }
    if let Some(stage1) = &run.stage1 {
        stage1.set(&archive.part("stage1."))?;
    }
    Ok(header.step)
}

/// SHA-256 of what decides the mathematics: the configuration but for `[run]`, the data, the encoder, the frozen Stage-I.
fn digest(run: &Run) -> Result<String> {
    let setup = &run.setup;
    let mut config = setup.config.clone();
    let zero = crate::config::RunConfig {
        report_every: 1,
        sample_every: 1,
        checkpoint_every: 1,
        keep: 2,
        prefetch: 0,
    };
    config.run = zero;
    let mut text = config.to_toml()?;
    text += setup.dataset.fingerprint();
    text += setup.embeddings.encoder();
    if let Some(model) = &setup.stage1 {
        text += &sha256(&model.to_bytes()?);
    }
    Ok(sha256(text.as_bytes()))
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// The model after `step` steps: the average of G where there is one, else G.
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
        None => run.players.g().params.snapshot()?,
    };
    let trained = Params::given(weights, device)?;
    let info = stage_info(run, step);
    let (stage1_info, stage2_info) = match (setup.config.stage, &setup.stage1) {
        (Stage::Two, Some(model)) => (model.info().stage1.clone(), Some(info)),
        _ => (info, None),
    };
    let (stage1, stage2) = match &run.stage1 {
        None => (trained, None),
        Some(low) => (Params::given(low.snapshot()?, device)?, Some(trained)),
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
    let standardise = match (&encoder, &run.affine) {
        (None, Some(affine)) => Some(affine.standardise()?), // else the encoder does it
        _ => None,
    };
    Ok(Model::new(info, encoder, stage1, stage2, device)?.with_standardise(standardise)?)
}

fn stage_info(run: &Run, step: u64) -> StageInfo {
    let (setup, cfg) = (&run.setup, &run.setup.config);
    StageInfo {
        net: cfg.net,
        truncated_epsilon: cfg.noise.epsilon == EpsilonName::Truncated,
        sample_z: cfg.noise.sample_z,
        sample_eps: cfg.noise.sample_eps,
        dataset: setup.dataset.name().to_owned(),
        dataset_fingerprint: setup.dataset.fingerprint().to_owned(),
        steps: step,
        batch: cfg.optim.batch,
        seed: cfg.seed,
        ema: cfg.optim.ema,
    }
}
