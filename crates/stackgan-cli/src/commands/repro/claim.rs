//! The provenance that a file claims for its picture, and whether it can be painted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use candle_core::Tensor;
use stackgan_core::image::Picture;
use stackgan_core::{Error, Provenance};
use stackgan_data::formats::read_bounded;

use crate::exit::Problem;
use crate::painting::{Given, Painter};

/// Maximum size of a file in bytes.
const LARGEST: u64 = 128 << 20;

/// A picture and the provenance in its file.
pub(super) struct Claim<'a> {
    pub(super) file: &'a Path,
    /// Index among the command's files.
    pub(super) index: usize,
    pub(super) said: Provenance,
    pub(super) picture: Picture,
}

/// What pictures can be repainted from.
pub(super) struct Source<'a> {
    pub(super) painter: &'a Painter,
    pub(super) given: Option<&'a Given>,
}

impl<'a> Claim<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// Code 4 when it does not exist, 3 when it contains no provenance.
    pub(super) fn read((index, file): (usize, &'a Path)) -> Result<Self> {
        if !file.exists() {
            let place = format!("file: {}", file.display());
            let remedy = "name pictures that `stackgan generate` or `stackgan edit` wrote";
            return Err(Problem::missing("there is no picture", place, "a PNG file", remedy).into());
        }
        let read = Provenance::read(&read_bounded(file, LARGEST)?);
        let (said, picture) = read.map_err(|error| match error {
            Error::Provenance { expected, found } => silent(file, expected, found).into(),
            other => anyhow::Error::from(other),
        })?;
        Ok(Self { file, index, said, picture })
    }
}

fn silent(file: &Path, expected: &str, found: String) -> Problem {
    let what = "this is no whole picture that says how it was painted";
    let remedy = "take a picture of `stackgan generate` or `stackgan edit` as it was written: many programs drop what is \
                  beside the pixels, sheets are of many pictures, and a file that was cut off is to be copied again";
    Problem::data(what, file, (expected, found), remedy)
}

impl Source<'_> {
    /// Rejects a claim that cannot be painted here.
    ///
    /// # Errors
    /// Code 3 when it is of another model or encoder, or is impossible; 4 when the text encoder or
    /// the embeddings that it needs are missing.
    pub(super) fn check(&self, claim: &Claim) -> Result<()> {
        let (said, painter) = (&claim.said, self.painter);
        let model = |sha256: &str| format!("a model with SHA-256 {}", sha256.escape_debug());
        if said.model_sha256 != painter.named.sha256 {
            let parts = (model(&said.model_sha256), model(&painter.named.sha256));
            let remedy = "give the model that the picture names: `-m`";
            let what = "another model painted this picture";
            return Err(Problem::data(what, claim.file, parts, remedy).into());
        }
        let scales = [said.z_scale, said.eps_scale];
        let last = painter.named.model.last_stage();
        if said.stage > last || scales.iter().any(|scale| !(0.0..=100.0).contains(scale)) {
            let expected = format!("a stage from 1 to {last}, scales from 0 to 100");
            let found = format!("stage {}, scales {scales:?}", said.stage);
            let remedy = "take the file as it was written";
            let what = "this picture says what cannot be";
            return Err(Problem::data(what, claim.file, (expected, found), remedy).into());
        }
        if said.embedding_sha256.is_none() && said.encoder != painter.named.encoder() {
            let named = |print: &str| format!("the encoder {}", print.escape_debug());
            let parts = (named(painter.named.encoder()), named(&said.encoder));
            let remedy = "take the file as it was written";
            let what = "another text encoder than the model's";
            return Err(Problem::data(what, claim.file, parts, remedy).into());
        }
        let of_row = said.embedding_sha256.is_some() && self.given.is_some();
        if of_row || painter.named.model.reads_sentences() {
            return Ok(());
        }
        let remedy = "give the text encoder, `--encoder`, or the embeddings that it was painted from, `--embeddings`";
        let (place, expected) =
            (format!("file: {}", claim.file.display()), "what its caption was read with");
        Err(Problem::missing("the model reads no sentences", place, expected, remedy).into())
    }

    /// The positions of the rows that some claims name.
    ///
    /// # Errors
    /// When the embeddings cannot be read.
    pub(super) fn rows(&self, claims: &[Claim]) -> Result<BTreeMap<String, u64>> {
        let named = claims.iter().filter_map(|claim| claim.said.embedding_sha256.as_deref());
        let named: BTreeSet<&str> = named.collect();
        match self.given {
            Some(given) if !named.is_empty() => given.find(&named),
            _ => Ok(BTreeMap::new()),
        }
    }

    /// Whether a claim names a row that is not among the given embeddings.
    pub(super) fn lacks(&self, claim: &Claim, rows: &BTreeMap<String, u64>) -> bool {
        let named = claim.said.embedding_sha256.as_ref();
        self.given.is_some() && named.is_some_and(|row| !rows.contains_key(row))
    }

    /// The vector `(1, text_dim)` of a claim's picture: the row that it names, if available, else
    /// its encoded caption.
    ///
    /// # Errors
    /// When there is neither.
    pub(super) fn vector(&self, claim: &Claim, rows: &BTreeMap<String, u64>) -> Result<Tensor> {
        let row = claim.said.embedding_sha256.as_ref().and_then(|row| rows.get(row));
        let model = &self.painter.named.model;
        match (row, self.given) {
            (Some(row), Some(given)) => Ok(given.read(&[*row], model)?.vectors),
            _ => Ok(model.encode(&[claim.said.caption.as_str()])?),
        }
    }
}
