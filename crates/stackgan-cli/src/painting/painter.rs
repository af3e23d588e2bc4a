//! The requested model, which paints encoded captions and writes pictures with their provenance.

use std::path::Path;

use anyhow::Result;
use candle_core::Tensor;
use serde::Serialize;
use stackgan_core::image::Picture;
use stackgan_core::provenance::SOFTWARE;
use stackgan_core::{NamedModel, Provenance, Request, Resolved, Sampling};
use stackgan_data::layouts::is_painted;

use super::names::file_name;
use crate::args::{NoiseScales, Painting};
use crate::context::Context;
use crate::encoders;
use crate::exit::Problem;
use crate::models::{Loaded, load, stage_of};
use crate::output::{Answer, path_text, write_file};

/// A model with its sampling settings and the facts stored in its pictures.
pub(crate) struct Painter {
    pub(crate) named: NamedModel,
    pub(crate) sampling: Sampling,
    /// `sampling` with the model's defaults.
    pub(crate) how: Resolved,
    /// Whether pictures contain their provenance.
    pub(crate) signed: bool,
}

/// Captions in the form that the networks take.
pub(crate) struct Read {
    pub(crate) captions: Vec<String>,
    /// Embeddings `(captions, text_dim)`.
    pub(crate) vectors: Tensor,
    /// For rows of embeddings instead of sentences: the SHA-256 of each row.
    pub(crate) rows: Vec<String>,
}

/// A picture and its inputs.
pub(crate) struct Painted<'a> {
    pub(crate) caption: &'a str,
    pub(crate) seed: u64,
    /// SHA-256 of the row of embeddings, if there is no sentence.
    row: Option<&'a str>,
    pub(crate) picture: Picture,
}

/// A picture that was written, with all facts about it.
#[derive(Serialize)]
pub(crate) struct Saved {
    file: String,
    #[serde(flatten)]
    provenance: Provenance,
}

impl Painter {
    /// Opens the model with the encoder for its sentences.
    ///
    /// # Errors
    /// As [`Self::of_embeddings`], and as [`encoders::attach_to_read`].
    pub(crate) fn of_sentences(asked: &Painting, context: &Context) -> Result<Self> {
        let mut painter = Self::of_embeddings(asked, context)?;
        let (model, named) = (&mut painter.named.model, asked.encoder.as_deref());
        encoders::attach_to_read(model, &asked.model, named, context)?;
        Ok(painter)
    }

    /// Opens the model without an encoder.
    ///
    /// # Errors
    /// Code 2 for a stage that it does not have, and as [`load`].
    pub(crate) fn of_embeddings(asked: &Painting, context: &Context) -> Result<Self> {
        let Painting { stage, scales: NoiseScales { z_scale, eps_scale }, .. } = *asked;
        let sampling = Sampling { stage, z_scale, eps_scale, ..Sampling::default() };
        let painter = Self::open(&asked.model, context)?;
        stage_of(&painter.named.model, stage, &asked.model)?;
        let (how, signed) = (painter.named.model.resolve(sampling)?, !asked.no_metadata);
        Ok(Self { sampling, how, signed, ..painter })
    }

    /// Opens the model at `path` with its default sampling settings.
    ///
    /// # Errors
    /// As [`load`].
    pub(crate) fn open(path: &Path, context: &Context) -> Result<Self> {
        let Loaded { model, sha256, name, .. } = load(path, context)?;
        let (sampling, named) = (Sampling::default(), NamedModel::new(model, name, sha256));
        Ok(Self { how: named.model.resolve(sampling)?, named, sampling, signed: true })
    }

    /// Encodes captions.
    ///
    /// # Errors
    /// When the model has no encoder.
    pub(crate) fn read(&self, captions: Vec<String>) -> Result<Read> {
        let texts: Vec<&str> = captions.iter().map(String::as_str).collect();
        let vectors = self.named.model.encode(&texts)?;
        Ok(Read { captions, vectors, rows: Vec::new() })
    }

    /// Side of the pictures in pixels.
    pub(crate) const fn side(&self) -> usize {
        self.how.stage.side()
    }

    /// Paints each caption with each seed, a few at a time, and passes the pictures to `each` in
    /// this order.
    ///
    /// # Errors
    /// When painting fails, and errors of `each`.
    pub(crate) fn paint(
        &self,
        read: &Read,
        seeds: &[u64],
        mut each: impl FnMut(Painted) -> Result<()>,
    ) -> Result<()> {
        let all = read.captions.iter().enumerate();
        let requests: Vec<((usize, &String), u64)> =
            all.flat_map(|caption| seeds.iter().map(move |seed| (caption, *seed))).collect();
        for chunk in requests.chunks(self.sampling.chunk) {
            let rows: Vec<u32> = chunk.iter().map(|((row, _), _)| *row as u32).collect();
            let text = read.vectors.index_select(&Tensor::new(rows, read.vectors.device())?, 0)?;
            let seeds: Vec<u64> = chunk.iter().map(|(_, seed)| *seed).collect();
            let paintings = self.named.model.paint_embeddings(&text, &seeds, self.sampling)?;
            for (((i, caption), seed), painting) in chunk.iter().zip(paintings) {
                let row = read.rows.get(*i).map(String::as_str);
                each(Painted { caption, seed: *seed, row, picture: painting.picture })?;
            }
        }
        Ok(())
    }

    /// Writes a picture, number `index` of its command, to `out`.
    ///
    /// # Errors
    /// [`Problem`] of the storage.
    pub(crate) fn save(&self, out: &Path, index: usize, painted: &Painted) -> Result<Saved> {
        let (provenance, png) = self.png(painted)?;
        let path = out.join(file_name(index, painted.seed, painted.caption));
        if !std::fs::read(&path).is_ok_and(|there| there == png) {
            check_free(&path)?;
        }
        write_file(&path, &png)?;
        Ok(Saved { file: path_text(&path), provenance })
    }

    /// The PNG file of a picture that is made of painted ones. It says that this program made it,
    /// unless pictures are to say nothing.
    ///
    /// # Errors
    /// Never: such a picture is not empty.
    pub(crate) fn composed(&self, picture: &Picture) -> Result<Vec<u8>> {
        let texts = if self.signed { &[SOFTWARE][..] } else { &[] };
        Ok(picture.encode_png_with(texts)?)
    }

    /// The provenance and the PNG file of a picture.
    ///
    /// # Errors
    /// Never for a picture that was painted.
    pub(crate) fn png(&self, painted: &Painted) -> Result<(Provenance, Vec<u8>)> {
        let Painted { caption, seed, row, picture } = painted;
        let request = Request { caption, seed: *seed };
        let said = self.named.provenance(request, self.how, picture);
        let said = match row {
            Some(row) => said.with_embedding(row),
            None => said,
        };
        let png = match self.signed {
            true => said.encode_png(picture, &self.named.name)?,
            false => picture.encode_png()?,
        };
        Ok((said, png))
    }
}

impl<'a> Painted<'a> {
    /// A picture of a sentence.
    pub(crate) const fn of(caption: &'a str, seed: u64, picture: Picture) -> Self {
        Self { caption, seed, row: None, picture }
    }
}

impl Answer for Saved {
    fn lines(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}

/// Refuses to replace a file that does not say that this program made it.
///
/// # Errors
/// Code 2.
pub(crate) fn check_free(path: &Path) -> Result<()> {
    if !path.is_file() || is_painted(path) {
        return Ok(());
    }
    let parts = ("none, or one of this program", "a file that does not say what made it");
    let place = format!("file: {}", path.display());
    let remedy = "paint into another folder, `--out DIR`, or remove the file";
    Err(Problem::usage("a picture is in the way", place, parts, remedy).into())
}
