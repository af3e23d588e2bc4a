//! The models of a server, by name.

use stackgan_core::{Model, NamedModel, Painting, Provenance, Request, Sampling};

use crate::card::Card;
use crate::wanted::Wanted;
use crate::{Error, Result};

/// Models by name. The first is used for requests that name none.
#[derive(Debug, Default)]
pub struct Shelf(Vec<NamedModel>);

/// A picture as a file.
#[derive(Debug)]
pub(crate) struct Painted {
    pub(crate) provenance: Provenance,
    pub(crate) png: Vec<u8>,
    /// What the text encoder does not read of the sentence.
    pub(crate) unread: Option<String>,
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
        self.0.push(NamedModel::new(model, id.to_owned(), sha256.to_owned()));
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
            Ok(Painted { provenance, png, unread: named.model.unread(request.caption) })
        };
        requests.iter().zip(paintings).map(file).collect()
    }
}
