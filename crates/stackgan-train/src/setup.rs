//! What a run is given, and the plan of its batches.

use std::sync::Arc;

use candle_core::Device;
use stackgan_core::Model;
use stackgan_core::noise::Noise;
use stackgan_core::text::CharCnnRnnEncoder;
use stackgan_data::dataset::Split;
use stackgan_data::embeddings::Embeddings;
use stackgan_data::plan::Plan;
use stackgan_data::prepared::Prepared;

use crate::Result;
use crate::config::TrainConfig;
use crate::pretrained::Pretrained;
use crate::shown::Shown;
use crate::start::Start;

/// The parts of a run.
#[derive(Debug)]
pub struct Setup {
    /// The configuration, checked.
    pub config: TrainConfig,
    /// The prepared dataset, of the stage's picture size.
    pub dataset: Arc<Prepared>,
    /// The embeddings of the dataset's captions.
    pub embeddings: Arc<Embeddings>,
    /// The encoder that made the embeddings, to be stored in the model. Without it the model only
    /// generates from embeddings.
    pub encoder: Option<CharCnnRnnEncoder>,
    /// The source of an encoder that is not stored in the model: `hub:OWNER/NAME` or a folder. It
    /// is noted in the model.
    pub encoder_source: Option<String>,
    /// The networks through which losses look at pictures.
    pub pretrained: Pretrained,
    /// The Stage-I model, for Stage-II.
    pub stage1: Option<Model>,
    /// The device to compute on.
    pub device: Device,
    /// The starting weights of the networks, if they are not fresh.
    pub start: Start,
    /// Sentences of one's own for the grids. A resumed run that is given none shows none.
    pub shown: Option<Shown>,
}

impl Setup {
    /// Plans the batches.
    ///
    /// # Errors
    /// As [`plan_over`].
    pub(crate) fn plan(&self) -> Result<Plan> {
        plan_over(&self.config, &self.dataset)
    }
}

/// Plans the batches of a run over the training pictures of `data`.
///
/// # Errors
/// When the data do not make such batches: too few pictures, pictures of one class, or pictures
/// without captions.
pub fn plan_over(cfg: &TrainConfig, data: &Prepared) -> Result<Plan> {
    Ok(Plan::over(data, data.indices(Split::Train), cfg.plan(), Noise::new(cfg.seed))?)
}
