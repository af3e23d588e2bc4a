//! The models of a server, by name.

use serde::Serialize;
use stackgan_core::text::alphabet::{AlphabetOptions, reading};
use stackgan_core::{Model, Provenance, Sampling};

use crate::wanted::Wanted;
use crate::{Error, Result};

/// Models by name. The first is used for requests that name none.
#[derive(Debug, Default)]
pub struct Shelf(Vec<Shelved>);

#[derive(Debug)]
struct Shelved {
    id: String,
    model: Model,
    sha256: String,
    encoder: String,
}

/// The public facts about a model.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Card {
    pub(crate) id: String,
    pub(crate) dataset: String,
    /// 1, or 2 if it has Stage-II.
    pub(crate) stages: u8,
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
    pub(crate) stage: u8,
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
        if id.trim().is_empty() || self.0.iter().any(|shelved| shelved.id == id) {
            return refused("a name of its own", "another's, or none", "give it another name");
        }
        if !model.reads_sentences() {
            let remedy = "attach the encoder that it was trained with";
            return refused("a model that reads sentences", "one without an encoder", remedy);
        }
        let encoder = model.encoder_fingerprint()?;
        self.0.push(Shelved { id: id.to_owned(), model, sha256: sha256.to_owned(), encoder });
        Ok(())
    }

    pub(crate) fn cards(&self) -> Vec<Card> {
        let card = |shelved: &Shelved| {
            let stages = shelved.model.stages();
            let scales = |stage| {
                let info = shelved.model.stage_info(stage);
                Scales { z_scale: info.sample_z, eps_scale: info.sample_eps }
            };
            let of_stage = |stage| StageScales { stage, scales: scales(stage) };
            Card {
                id: shelved.id.clone(),
                dataset: shelved.model.stage_info(stages).dataset.clone(),
                stages,
                last: scales(stages),
                scales: (1..=stages).map(of_stage).collect(),
                sha256: shelved.sha256.clone(),
                alphabet: shelved.model.encoder().map(|encoder| encoder.config().alphabet),
            }
        };
        self.0.iter().map(card).collect()
    }

    /// Paints each sentence with each seed.
    pub(crate) fn paint(&self, wanted: &Wanted) -> stackgan_core::Result<Vec<Painted>> {
        let Some(Shelved { id, model, sha256, encoder }) = self.0.get(wanted.model) else {
            return Ok(Vec::new()); // `wanted` has checked the index
        };
        let sampling = Sampling {
            stage: wanted.stage,
            z_scale: wanted.z_scale,
            eps_scale: wanted.eps_scale,
            ..Sampling::default()
        };
        let requests: Vec<(&str, u64)> = wanted
            .captions
            .iter()
            .flat_map(|caption| wanted.seeds.iter().map(|seed| (caption.as_str(), *seed)))
            .collect();
        let paintings = model.paint(&requests, sampling)?;
        let file = |(request, painting): (&(&str, u64), stackgan_core::Painting)| {
            let names = (sha256.as_str(), encoder.as_str());
            let provenance = Provenance::of(&painting.picture, model, names, *request, sampling);
            let png = provenance.encode_png(&painting.picture, id)?;
            Ok(Painted { provenance, png })
        };
        requests.iter().zip(paintings).map(file).collect()
    }
}

impl Card {
    /// A message about the part of a sentence that the text encoder does not read; `None` if it
    /// reads everything.
    pub(crate) fn unread(&self, caption: &str) -> Option<String> {
        reading(caption, self.alphabet?).unread()
    }
}
