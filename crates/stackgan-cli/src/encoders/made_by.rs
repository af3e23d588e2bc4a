//! The encoder of `--made-by`, which is said to have made embeddings: it encodes some of their
//! captions, and the import compares the vectors.

use std::path::Path;

use anyhow::Result;
use stackgan_data::counted;
use stackgan_data::embeddings::{Imported, Maker, probes};

use super::named::{self, Encoder};
use crate::context::Context;
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

/// Says what was imported, and how well the encoder agrees.
pub(crate) fn say_imported(done: &Imported, maker: Option<&Maker>, manner: Manner) {
    let (rows, numbers) = (counted(done.rows, "embedding"), counted(done.dim, "number"));
    manner.say(format!("{rows} of {numbers}, from {}", done.form));
    if let (Some(agreement), Some(maker)) = (done.agreement, maker) {
        manner.say(format!(
            "made by {}: its vectors of {} of {} agree; the median difference is {:.5} of their spread",
            maker.name,
            agreement.agreeing,
            counted(agreement.compared, "compared caption"),
            agreement.median
        ));
    }
}
