//! What a run's networks start from, where that is not fresh weights: `--init-from`, and Stage-I's discriminator for tuning
//! Stage-I under Stage-II.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use candle_core::{Device, Tensor};
use stackgan_train::config::TrainConfig;
use stackgan_train::start::Start;
use stackgan_train::store::Store;

use super::record::Record;
use crate::commands::{Context, load_model};
use crate::exit::Problem;

/// Loads what the record and the settings name.
///
/// # Errors
/// Code 4 when it is not there, 3 when it is damaged.
pub(super) fn find(wanted: &Record, config: &TrainConfig, context: &Context) -> Result<Start> {
    let generator = match &wanted.init_from {
        Some(model) => Some(load_model(model, &context.device)?.0),
        None => None,
    };
    let stage1_discriminator = match &wanted.stage1 {
        Some(run) if config.knobs.finetune_stage1 > 0.0 => {
            Some(discriminator(run, &context.device)?)
        }
        _ => None,
    };
    Ok(Start { generator, stage1_discriminator })
}

/// The discriminator in the newest checkpoint of a run folder.
fn discriminator(run: &Path, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    let folder = run.join("checkpoints");
    let found = if folder.is_dir() { Store::reading(&folder).newest(device)?.found } else { None };
    match found {
        Some((_, archive)) => Ok(archive.part("d.")),
        None => {
            let place = format!("folder: {}", folder.display());
            let remedy = "name the run folder of Stage-I, with its checkpoints: `--stage1 RUN`; \
                          or leave Stage-I as it is: `--set knobs.finetune_stage1=0`";
            let what = "tuning Stage-I needs its discriminator";
            Err(Problem::missing(what, place, "a checkpoint of Stage-I's run", remedy).into())
        }
    }
}
