//! The models of a server, by name.

use serde::Serialize;
use stackgan_core::text::alphabet::{AlphabetOptions, reading};
use stackgan_core::{Model, NamedModel, Painting, Provenance, Request, Sampling, Stage, StageInfo};

use crate::wanted::Wanted;
use crate::{Error, Result};

/// Models by name. The first is used for requests that name none.
#[derive(Debug, Default)]
pub struct Shelf(Vec<NamedModel>);

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
    #[serde(skip)]
    pub(crate) alphabet: Option<AlphabetOptions>,
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

/// A picture as a file.
#[derive(Debug)]
pub(crate) struct Painted {
    pub(crate) provenance: Provenance,
    pub(crate) png: Vec<u8>,
}

impl Shelf {
    /// Adds a model. `id` is its name in requests and in its pictures; `sha256` is that of its
    /// file.
    ///
    /// # Errors
    /// [`Error::Model`] when the name is taken or blank, or the model has no text encoder.
    pub fn put(&mut self, id: &str, model: Model, sha256: &str) -> Result<()> {
        let refused = |expected, found, remedy| {
            Err(Error::Model { id: id.to_owned(), expected, found, remedy })
        };
        if id.trim().is_empty() || self.0.iter().any(|model| model.name == id) {
            return refused("a name of its own", "another's, or none", "give it another name");
        }
        if !model.reads_sentences() {
            let remedy = "attach the encoder that it was trained with";
            return refused("a model that reads sentences", "one without an encoder", remedy);
        }
        self.0.push(NamedModel::new(model, id.to_owned(), sha256.to_owned())?);
        Ok(())
    }

    pub(crate) fn cards(&self) -> Vec<Card> {
        self.0.iter().map(Card::of).collect()
    }

    /// Paints each sentence with each seed.
    pub(crate) fn paint(&self, wanted: &Wanted) -> stackgan_core::Result<Vec<Painted>> {
        let Some(named) = self.0.get(wanted.model) else {
            return Ok(Vec::new()); // `wanted` has checked the index
        };
        let sampling = Sampling {
            stage: wanted.stage,
            z_scale: wanted.z_scale,
            eps_scale: wanted.eps_scale,
            ..Sampling::default()
        };
        let how = named.model.resolve(sampling)?;
        let seeds = |caption| wanted.seeds.iter().map(move |&seed| Request { caption, seed });
        let requests: Vec<_> = wanted.captions.iter().flat_map(|c| seeds(c.as_str())).collect();
        let paintings = named.model.paint(&requests, sampling)?;
        let file = |(request, Painting { picture, .. }): (&Request<'_>, Painting)| {
            let provenance = named.provenance(*request, how, &picture);
            let png = provenance.encode_png(&picture, &named.name)?;
            Ok(Painted { provenance, png })
        };
        requests.iter().zip(paintings).map(file).collect()
    }
}

impl Card {
    fn of(named: &NamedModel) -> Self {
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
            alphabet: named.model.encoder().map(|encoder| encoder.config().alphabet),
        }
    }

    /// A message about the part of a sentence that the text encoder does not read; `None` if it
    /// reads everything.
    pub(crate) fn unread(&self, caption: &str) -> Option<String> {
        reading(caption, self.alphabet?).unread()
    }
}
