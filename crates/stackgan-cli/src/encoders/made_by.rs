//! The encoder of `--made-by`, which is said to have made embeddings: it encodes some of their
//! captions, and the import compares the vectors.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use stackgan_data::counted;
use stackgan_data::embeddings::{Imported, Maker, probes};

use super::named::{self, Encoder};
use crate::context::Context;
use crate::output::path_text;
use crate::progress::{Manner, Phase};

/// Number of captions encoded at a time.
const CHUNK: usize = 20;

/// The encoder that was named.
pub(crate) struct ClaimedMaker<'a> {
    name: &'a Path,
    encoder: Encoder,
}

impl<'a> ClaimedMaker<'a> {
    /// Opens the encoder called `name`.
    ///
    /// # Errors
    /// As [`named::open`].
    pub(crate) fn open(name: &'a Path, context: &Context) -> Result<Self> {
        Ok(Self { name, encoder: named::open(name, context)? })
    }

    /// Encodes the captions that are compared.
    ///
    /// # Errors
    /// Errors of the encoder.
    pub(crate) fn maker(&self, captions: &[String], manner: Manner) -> Result<Maker> {
        let (encoder, rows) = (self.encoder.text(), probes(captions));
        let total = rows.len() as u64;
        let mut phase = Phase::new(manner, "encoding captions to compare", total, "captions");
        let (mut vectors, mut done) = (Vec::new(), 0);
        for chunk in rows.chunks(CHUNK) {
            let texts = chunk.iter().filter_map(|&row| captions.get(row)).map(String::as_str);
            let texts: Vec<&str> = texts.collect();
            vectors.extend(encoder.encode(&texts)?.flatten_all()?.to_vec1::<f32>()?);
            done += chunk.len() as u64;
            phase.at(done);
        }
        phase.finish(&counted(total, "caption"));
        let (name, fingerprint) = (self.name.display().to_string(), encoder.fingerprint());
        Ok(Maker { name, fingerprint, rows, vectors })
    }
}

/// Embeddings of another program that were imported.
#[derive(Debug, Serialize)]
pub(crate) struct ImportedEmbeddings {
    file: String,
    /// Number of embeddings.
    rows: usize,
    /// Number of values of each.
    dim: usize,
    /// The form that they were in.
    form: &'static str,
    /// Number of entries of pictures that the dataset does not have.
    pub unused: usize,
    /// The encoder that made them, if one was named.
    made_by: Option<MadeBy>,
}

/// The encoder that was named, and how well it agrees.
#[derive(Debug, Serialize)]
struct MadeBy {
    encoder: String,
    fingerprint: String,
    /// Number of compared captions.
    compared: usize,
    /// Number of those whose vectors agree.
    agreeing: usize,
    /// The median difference, as a part of the spread of the encoder's vectors.
    median_difference: f64,
}

impl ImportedEmbeddings {
    /// What is known of an import into `file`.
    pub(crate) fn of(done: Imported, maker: Option<Maker>, file: &Path) -> Self {
        let made_by = maker.zip(done.agreement).map(|(maker, agreement)| MadeBy {
            encoder: maker.name,
            fingerprint: maker.fingerprint,
            compared: agreement.compared,
            agreeing: agreement.agreeing,
            median_difference: agreement.median,
        });
        let Imported { rows, dim, form, unused, .. } = done;
        Self { file: path_text(file), rows, dim, form, unused, made_by }
    }

    /// The file.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Says what was imported, and how well the encoder agrees.
    pub(crate) fn say(&self, manner: Manner) {
        let (rows, numbers) = (counted(self.rows, "embedding"), counted(self.dim, "number"));
        manner.say(format!("{rows} of {numbers}, from {}", self.form));
        if let Some(MadeBy { encoder, compared, agreeing, median_difference, .. }) = &self.made_by {
            let compared = counted(*compared, "compared caption");
            manner.say(format!(
                "made by {encoder}: its vectors of {agreeing} of {compared} agree; the median difference is {median_difference:.5} of their spread"
            ));
        }
    }
}
