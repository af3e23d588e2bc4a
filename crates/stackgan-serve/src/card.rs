//! What clients are told about a model, and what their requests are checked against.

use serde::Serialize;
use stackgan_core::{NamedModel, Stage, StageInfo};

/// The public facts about a model.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Card {
    pub(crate) id: String,
    pub(crate) dataset: String,
    /// Its last stage.
    #[serde(rename = "stages")]
    pub(crate) last_stage: Stage,
    /// Those of the last stage, which paints unless told.
    #[serde(flatten)]
    pub(crate) last: Scales,
    /// Those of each stage.
    pub(crate) scales: Vec<StageScales>,
    pub(crate) sha256: String,
}

/// Noise unless a request says otherwise.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Scales {
    /// Of `z`.
    pub(crate) z_scale: f64,
    /// Of epsilon.
    pub(crate) eps_scale: f64,
}

/// The same of a stage.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct StageScales {
    pub(crate) stage: Stage,
    #[serde(flatten)]
    pub(crate) scales: Scales,
}

impl Card {
    pub(crate) fn of(named: &NamedModel) -> Self {
        let info = named.model.info();
        let stages = [(Stage::One, Some(&info.stage1)), (Stage::Two, info.stage2.as_ref())];
        let of_stage = |(stage, info): (Stage, Option<&StageInfo>)| {
            let StageInfo { sample_z, sample_eps, .. } = *info?;
            let scales = Scales { z_scale: sample_z, eps_scale: sample_eps };
            Some(StageScales { stage, scales })
        };
        let last = info.stage2.as_ref().unwrap_or(&info.stage1);
        Self {
            id: named.name.clone(),
            dataset: last.dataset.clone(),
            last_stage: named.model.last_stage(),
            last: Scales { z_scale: last.sample_z, eps_scale: last.sample_eps },
            scales: stages.into_iter().filter_map(of_stage).collect(),
            sha256: named.sha256.clone(),
        }
    }
}
