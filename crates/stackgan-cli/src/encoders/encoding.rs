//! Captions to files of embeddings.

use std::path::Path;

use anyhow::Result;
use stackgan_core::text::TextEncoder;
use stackgan_data::counted;
use stackgan_data::embeddings::{Embeddings, EmbeddingsWriter};
use stackgan_data::prepared::Prepared;

use crate::output::create_folder_of;
use crate::progress::{Manner, Phase};

/// Number of captions encoded at a time.
pub(crate) const CHUNK: usize = 1024;

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
    let captions = data.all_captions();
    let create = |dim, print: &str| {
        Embeddings::create(output, dim, captions.len(), print, data.fingerprint())
    };
    write(encoder, captions, (output, &create), manner)?;
    Ok(Embeddings::open(output)?)
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
    match Embeddings::open(file) {
        Ok(found) if found.check(data).is_ok() && found.encoder() == encoder.fingerprint() => {
            Ok(found)
        }
        _ => encode(encoder, data, file, manner),
    }
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
    let create = |dim, print: &str| Embeddings::create_with_captions(output, dim, print, captions);
    write(encoder, captions, (output, &create), manner)
}

/// Creates a file of embeddings of a width, by an encoder with a fingerprint.
type Create<'a> = &'a dyn Fn(usize, &str) -> stackgan_data::Result<EmbeddingsWriter>;

/// Writes the embeddings of captions.
fn write(
    encoder: &dyn TextEncoder,
    captions: &[String],
    (output, create): (&Path, Create<'_>),
    manner: Manner,
) -> Result<()> {
    create_folder_of(output)?;
    let mut phase = Phase::new(manner, "encoding captions", captions.len() as u64, "captions");
    let (dim, print) = (encoder.dim(), encoder.fingerprint());
    let mut writer = create(dim, &print)?;
    let mut done = 0;
    for chunk in captions.chunks(CHUNK) {
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        writer.append(&encoder.encode(&chunk)?.flatten_all()?.to_vec1::<f32>()?)?;
        done += chunk.len() as u64;
        phase.at(done);
    }
    writer.finish()?;
    phase.finish(&format!("{}, {} each", counted(done, "caption"), counted(dim, "number")));
    Ok(())
}
