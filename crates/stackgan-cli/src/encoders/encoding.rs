//! Captions to files of embeddings, with progress.

use std::path::Path;

use anyhow::Result;
use stackgan_core::digest::short;
use stackgan_core::text::TextEncoder;
use stackgan_data::counted;
use stackgan_data::embeddings::Embeddings;
use stackgan_data::prepared::Prepared;
use stackgan_train::encoding;

use crate::datasets::Cache;
use crate::output::create_folder_of;
use crate::progress::{Manner, Phase};

/// Encodes every caption of `data` and writes the embeddings to `output`.
///
/// # Errors
/// Errors of the encoder or the storage.
pub(crate) fn encode(
    encoder: &dyn TextEncoder,
    data: &Prepared,
    output: &Path,
    manner: Manner,
) -> Result<Embeddings> {
    create_folder_of(output)?;
    let mut phase = begin(data.all_captions(), manner);
    let made = encoding::encode(encoder, data, output, &mut |done| phase.at(done as u64))?;
    finish(phase, data.caption_count(), encoder);
    Ok(made)
}

/// The embeddings of every caption of `data`, which are encoded once for each encoder and kept in a
/// cache.
///
/// # Errors
/// As [`encode`].
pub(crate) fn encoded_once(
    encoder: &dyn TextEncoder,
    data: &Prepared,
    cache: &Cache,
    manner: Manner,
) -> Result<Embeddings> {
    let own = encoder.fingerprint();
    let name = format!("embeddings-{}-{}.safetensors", short(&own), short(data.fingerprint()));
    let found = cache.find(&name, |file| encoding::kept(&file, data, &own));
    found.map_or_else(|| encode(encoder, data, &cache.new_file(&name), manner), Ok)
}

/// The embeddings of every caption of `data` in `file`, if they are there and of this encoder; else
/// they are made and written there.
///
/// # Errors
/// As [`encode`].
pub(crate) fn encoded(
    encoder: &dyn TextEncoder,
    data: &Prepared,
    file: &Path,
    manner: Manner,
) -> Result<Embeddings> {
    let found = encoding::kept(file, data, &encoder.fingerprint());
    found.map_or_else(|| encode(encoder, data, file, manner), Ok)
}

/// Encodes captions of no dataset, and writes the embeddings with the captions to `output`.
///
/// # Errors
/// Errors of the encoder or the storage.
pub(crate) fn encode_captions(
    encoder: &dyn TextEncoder,
    captions: &[String],
    output: &Path,
    manner: Manner,
) -> Result<()> {
    create_folder_of(output)?;
    let mut phase = begin(captions, manner);
    let mut progress = |done| phase.at(done as u64);
    encoding::encode_captions(encoder, captions, output, &mut progress)?;
    finish(phase, captions.len(), encoder);
    Ok(())
}

fn begin(captions: &[String], manner: Manner) -> Phase {
    Phase::new(manner, "encoding captions", captions.len() as u64, "captions")
}

fn finish(phase: Phase, captions: usize, encoder: &dyn TextEncoder) {
    let (captions, numbers) = (counted(captions, "caption"), counted(encoder.dim(), "number"));
    phase.finish(&format!("{captions}, {numbers} each"));
}
