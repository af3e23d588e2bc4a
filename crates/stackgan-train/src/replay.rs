//! A file ("bundle") from which a non-finite step can be repeated: the state before it, its batch,
//! its noise and its settings.
//!
//! Neither the data nor the run folder is needed.

use std::path::PathBuf;

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};
use stackgan_core::archive::{Archive, KEY};
use stackgan_core::{NetConfig, Params};

use crate::config::TrainConfig;
use crate::guard::Guard;
use crate::matching::{MatchedBy, Matcher};
use crate::players::Players;
use crate::pretrained::Pretrained;
use crate::projected::Projection;
use crate::start::Start;
use crate::step::{Inputs, StepConfig};
use crate::{Error, Result};

/// The prefix of the matching loss's tensors in a bundle.
pub(crate) const MATCHING: &str = "matching.";

/// The prefix of the tensors of the second discriminator's network.
pub(crate) const PROJECTION: &str = "projection.";

/// The version of the file format.
pub(crate) const FORMAT: &str = "stackgan-step/1";

/// The metadata of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    pub(crate) format: String,
    /// The step, counted from 0.
    pub step: u64,
    /// The epoch of the step, counted from 0.
    pub epoch: u64,
    /// The first term that became non-finite.
    pub term: String,
    /// Its value, as text because JSON has no NaN.
    pub value: String,
    /// The pictures of the batch, as indices in the prepared file.
    pub indices: Vec<usize>,
    /// The factor on the learning rates.
    pub decay: f64,
    /// Step counts of the optimisers of G and D.
    pub optimiser_steps: (u64, u64),
    /// The sizes of the Stage-I under a Stage-II.
    pub stage1: Option<NetConfig>,
    /// The encoders of the matching loss, if it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<MatchedBy>,
    /// The network of the second discriminator, if it plays along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projected: Option<String>,
    /// The configuration, as TOML.
    pub config: String,
}

/// Serialises a bundle. `state` is the content of a checkpoint.
///
/// # Errors
/// When a tensor cannot be read from its device.
pub(crate) fn to_bytes(mut state: Archive, facts: &Facts, inputs: &Inputs) -> Result<Vec<u8>> {
    let inputs = inputs.named().map(|(name, tensor)| (name.to_owned(), tensor.clone()));
    state.tensors.extend(inputs);
    let text = serde_json::to_string(facts).unwrap_or_default(); // numbers and strings: cannot fail
    state.metadata = [(KEY.to_owned(), text)].into();
    Ok(state.to_bytes()?)
}

/// The result of a repeated step.
#[derive(Debug)]
pub struct Replayed {
    /// The metadata of the bundle.
    pub facts: Facts,
    /// The values of the step, or what became non-finite this time.
    pub result: Result<Vec<(&'static str, f64)>>,
}

/// Repeats the step of a bundle.
///
/// # Errors
/// [`Error::Checkpoint`] when the file is not a bundle. A non-finite step is not an error here.
pub fn replay(bytes: &[u8], file: &std::path::Path, device: &Device) -> Result<Replayed> {
    let damaged = |found: String| Error::Checkpoint {
        what: "not a step that can be taken again".to_owned(),
        file: PathBuf::from(file),
        expected: format!("a file of format {FORMAT}"),
        found: found.into(),
        remedy: "name a `nonfinite-step-….safetensors` of a run folder".to_owned(),
    };
    let other = || damaged("another file, or one that is not whole".to_owned());
    let archive = Archive::from_bytes(bytes, device).map_err(|_| other())?;
    let text = archive.metadata.get(KEY).map_or("", String::as_str);
    let facts: Facts = serde_json::from_str(text).map_err(|_| other())?;
    if facts.format != FORMAT {
        return Err(damaged(facts.format));
    }
    let config = TrainConfig::from_toml(&facts.config)?;
    let stage1 = facts.stage1.as_ref();
    let stage1 = stage1.map(|_| Params::given(archive.part("stage1."), device)).transpose()?;
    let low = stage1.as_ref().zip(facts.stage1.as_ref());
    let start = Start { stage1_discriminator: Some(archive.part("tune.d.")), ..Start::default() };
    let matcher = facts.matching.as_ref();
    let matcher = matcher.map(|of| Matcher::given(of, archive.part(MATCHING), device));
    let projection = facts.projected.as_ref();
    let projection = projection.map(|of| Projection::given(of, archive.part(PROJECTION), device));
    let pretrained =
        Pretrained { matcher: matcher.transpose()?, projection: projection.transpose()? };
    let mut players = Players::new(&config, low, &start, pretrained, device)?;
    players.restore(&archive, facts.optimiser_steps)?;
    let mut inputs = Inputs::from_named(
        |name| archive.tensors.get(name).cloned(),
        |name| damaged(format!("no tensor `{name}`")),
    )?;
    if let Some(other) = &mut inputs.batch.other_text {
        *other = other.to_dtype(DType::U32)?;
    }
    let step = StepConfig::of(&config, facts.step, facts.decay);
    let mut guard = Guard::over(&players, stage1.as_ref())?;
    let result = match guard.step(&mut players, &inputs, &step, || {}) {
        Ok(stats) => Ok(stats.read()?),
        Err(error @ Error::NonFinite { .. }) => Err(error),
        Err(error) => return Err(error),
    };
    Ok(Replayed { facts, result })
}
