//! What a run was given besides its configuration: data, encoder, frozen Stage-I. A checkpoint
//! names them, so that a run that is given others can be told which.

use serde::{Deserialize, Serialize};
use stackgan_core::digest::short;
use stackgan_core::text::short_fingerprint;
use stackgan_data::counted;
use stackgan_data::prepared::Prepared;

use crate::{Error, Result};

/// What a run was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins {
    /// The data's fingerprint.
    pub data: String,
    /// Number of pictures.
    pub pictures: usize,
    /// Number of captions.
    pub captions: usize,
    /// How pixels were made of the pictures; empty for the recipe's own way.
    pub pixels: String,
    /// The fingerprint of the encoder.
    pub encoder: String,
    /// SHA-256 of Stage-I's contents; empty in Stage-I.
    pub stage1: String,
    /// The name of the second discriminator's network, with the SHA-256 of its weights; empty without.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
}

impl Origins {
    /// All of it that decides the results.
    pub(crate) fn text(&self) -> String {
        [&*self.data, &self.pixels, &self.encoder, &self.stage1, &self.network].concat()
    }

    /// Checks the data that a run goes on with.
    ///
    /// # Errors
    /// [`Error::Config`] for others.
    pub fn check_data(&self, data: &Prepared) -> Result<()> {
        self.same_data(data.fingerprint(), (data.len(), data.all_captions().len()))
    }

    fn same_data(&self, data: &str, (pictures, captions): (usize, usize)) -> Result<()> {
        if data == self.data {
            return Ok(());
        }
        self.check_sizes(pictures, captions)?;
        Err(self.other_data(&format!("{}, others", sizes(pictures, captions))))
    }

    /// Checks the sizes of data that are not prepared yet.
    ///
    /// # Errors
    /// [`Error::Config`] for others.
    pub fn check_sizes(&self, pictures: usize, captions: usize) -> Result<()> {
        match (pictures, captions) == (self.pictures, self.captions) {
            true => Ok(()),
            false => Err(self.other_data(&sizes(pictures, captions))),
        }
    }

    /// Checks the encoder that a run goes on with, by its fingerprint.
    ///
    /// # Errors
    /// [`Error::Config`] for another.
    pub fn check_encoder(&self, encoder: &str) -> Result<()> {
        let remedy =
            "name the one that the run began with: `--encoder FILE`, or its `--embeddings FILE`";
        let shown = |print: &str| short_fingerprint(print).to_owned();
        differs("encoder", (shown(&self.encoder), shown(encoder)), remedy)
    }

    /// Checks the Stage-I that a run goes on with, by the SHA-256 of its contents.
    ///
    /// # Errors
    /// [`Error::Config`] for another.
    pub fn check_stage1(&self, stage1: &str) -> Result<()> {
        let remedy = "name the one that the run began with: `--stage1 MODEL`";
        differs("stage1", (short(&self.stage1).to_owned(), short(stage1).to_owned()), remedy)
    }

    /// Checks all that a run goes on with.
    ///
    /// # Errors
    /// [`Error::Config`] names the first that differs.
    pub(crate) fn check(&self, now: &Self) -> Result<()> {
        self.same_data(&now.data, (now.pictures, now.captions))?;
        let remedy = "import the folder as it was: `stackgan data import` with the options of then";
        differs("pixels", (made(&self.pixels), made(&now.pixels)), remedy)?;
        self.check_encoder(&now.encoder)?;
        self.check_stage1(&now.stage1)?;
        let remedy = "give the weights that the run began with: `--features FILE`";
        differs("features", (self.network.clone(), now.network.clone()), remedy)
    }

    fn other_data(&self, found: &str) -> Error {
        other(
            "data",
            (&sizes(self.pictures, self.captions), found),
            "name the data that the run began with, `--data PATH`, or put back what was changed; to go on with \
             more or other pictures, start a new run from this one: `--init-from RUN`",
        )
    }
}

/// How pixels were made, for people.
fn made(pixels: &str) -> String {
    let (how, boxes) = pixels.split_once("boxes ").unwrap_or((pixels, ""));
    let how = if how.is_empty() { "the recipe's own way" } else { how };
    match boxes.get(..12) {
        Some(boxes) => format!("{how}, with boxes {boxes}"),
        None => format!("{how}, without boxes"),
    }
}

fn sizes(pictures: usize, captions: usize) -> String {
    format!("{} with {}", counted(pictures, "picture"), counted(captions, "caption"))
}

fn differs(key: &str, (old, new): (String, String), remedy: &str) -> Result<()> {
    if old == new { Ok(()) } else { Err(other(key, (&old, &new), remedy)) }
}

fn other(key: &str, (old, new): (&str, &str), remedy: &str) -> Error {
    Error::Config {
        key: key.to_owned(),
        expected: format!("{old}, as when the checkpoint was written"),
        found: new.to_owned(),
        remedy: format!("{remedy}; or train in another folder"),
    }
}
