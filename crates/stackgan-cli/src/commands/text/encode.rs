//! `stackgan text encode`: the embeddings of sentences, or of every caption of a dataset.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use stackgan_train::encoding::CHUNK;

use crate::args;
use crate::captions::{self, Blank};
use crate::context::Context;
use crate::datasets::{self, ANY_SIZE, open_any};
use crate::encoders::{self, encode, encode_captions, warn_unread_by};
use crate::exit::Problem;
use crate::output::{Answer, Form, apart, path_text};

/// Writes the embeddings.
pub(super) fn run(args: &args::TextEncode, context: &Context) -> Result<()> {
    let prepared = args.data.as_deref().map(datasets::files).unwrap_or_default();
    let mut read = vec![Some(args.encoder.as_path()), args.data.as_deref()];
    read.extend(prepared.iter().map(|file| Some(file.as_path())));
    read.push(args.captions.as_deref());
    apart(&read, &[("--output", Some(&args.output))])?;
    let output = regular(&args.output)?;
    let encoder = encoders::open(&args.encoder, context)?;
    let captions = match &args.data {
        Some(data) => {
            let data = open_any(data, ANY_SIZE, context.manner)?;
            warn_unread_by(&encoder, data.all_captions(), context.manner);
            encode(encoder.text(), &data, &output, context.manner)?.len()
        }
        None => {
            let (file, blank) = (args.captions.as_deref(), Cell::new(0));
            let captions = captions::of(&args.prompt, file, CHUNK, Blank::Counted(&blank))?;
            let captions = captions.collect::<Result<Vec<_>>>()?.concat();
            if let Some(skipped) = captions::skipped(file, &blank) {
                context.manner.say(skipped);
            }
            encode_captions(encoder.text(), &captions, &output, context.manner)?;
            captions.len()
        }
    };
    let (file, encoder) = (path_text(&args.output), encoder.text());
    let (dim, encoder) = (encoder.dim(), encoder.fingerprint());
    Form::from(args.json).show(&Encoded { file, rows: captions, dim, encoder })
}

/// Embeddings that were written.
#[derive(Serialize)]
struct Encoded {
    file: String,
    /// Number of embeddings: one for each caption.
    rows: usize,
    /// Number of values of each.
    dim: usize,
    /// The fingerprint of the encoder.
    encoder: String,
}

impl Answer for Encoded {
    fn lines(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}

/// The file that a link leads to, or the path itself if nothing is there. A file of embeddings gets
/// its name when it is complete, so it cannot be a pipe or a device.
///
/// # Errors
/// Code 2 for something that is not a file.
fn regular(path: &Path) -> Result<PathBuf> {
    match path.metadata() {
        Ok(facts) if !facts.is_file() => {
            let place = format!("option: --output {}", path.display());
            let parts = ("a file", "a folder, a pipe or a device");
            let what = "embeddings cannot be written there";
            Err(Problem::usage(what, place, parts, "name a file").into())
        }
        Ok(_) => Ok(path.canonicalize().map_err(|e| Problem::storage(path, &e))?),
        Err(_) => Ok(path.to_path_buf()),
    }
}
