//! Captions to files of embeddings.

use std::path::Path;

use stackgan_core::text::TextEncoder;
use stackgan_data::embeddings::{Embeddings, EmbeddingsWriter};
use stackgan_data::prepared::Prepared;

use crate::Result;

/// Number of captions that are encoded at a time.
pub const CHUNK: usize = 1024;

/// Encodes every caption of `data` into `file`: `f32` rows `(captions, encoder.dim())` in the order of
/// [`Prepared::all_captions`], with the fingerprints of encoder and dataset. `progress` is told the number of captions that are
/// done, from 0.
///
/// # Errors
/// Errors of the encoder or the storage.
pub fn encode(
    encoder: &dyn TextEncoder,
    data: &Prepared,
    file: &Path,
    progress: &mut dyn FnMut(usize),
) -> Result<Embeddings> {
    let writer = Embeddings::create(file, encoder.dim(), &encoder.fingerprint(), data)?;
    write(encoder, data.all_captions(), writer, progress)?;
    Ok(Embeddings::open(file)?)
}

/// The embeddings of every caption of `data` in `file`, if they are there and of this encoder; else
/// they are made and written there.
///
/// # Errors
/// As [`encode`].
pub fn encoded(
    encoder: &dyn TextEncoder,
    data: &Prepared,
    file: &Path,
    progress: &mut dyn FnMut(usize),
) -> Result<Embeddings> {
    let found = kept(file, data, &encoder.fingerprint());
    found.map_or_else(|| encode(encoder, data, file, progress), Ok)
}

/// The embeddings in `file`, if they are those of every caption of `data` by the encoder of this
/// fingerprint.
#[must_use]
pub fn kept(file: &Path, data: &Prepared, fingerprint: &str) -> Option<Embeddings> {
    let found = Embeddings::open(file).ok()?;
    (found.check(data).is_ok() && found.encoder() == fingerprint).then_some(found)
}

/// Encodes captions of no dataset into `file`, which then holds the captions too.
///
/// # Errors
/// As [`encode`].
pub fn encode_captions(
    encoder: &dyn TextEncoder,
    captions: &[String],
    file: &Path,
    progress: &mut dyn FnMut(usize),
) -> Result<()> {
    let (dim, print) = (encoder.dim(), encoder.fingerprint());
    let writer = Embeddings::create_with_captions(file, dim, &print, captions)?;
    write(encoder, captions, writer, progress)
}

fn write(
    encoder: &dyn TextEncoder,
    captions: &[String],
    mut writer: EmbeddingsWriter,
    progress: &mut dyn FnMut(usize),
) -> Result<()> {
    let mut done = 0;
    progress(done);
    for chunk in captions.chunks(CHUNK) {
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        writer.append(&encoder.encode(&chunk)?.flatten_all()?.to_vec1::<f32>()?)?;
        done += chunk.len();
        progress(done);
    }
    writer.finish()?;
    Ok(())
}
