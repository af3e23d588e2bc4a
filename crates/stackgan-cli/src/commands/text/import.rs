//! `stackgan text import`: converts published weights of the char-CNN-RNN to an encoder file, and
//! captions with embeddings of other programs to a file of embeddings.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use stackgan_core::digest::short;
use stackgan_core::text::alphabet::{AlphabetOptions, Case, Unknown};
use stackgan_core::text::state_dict::from_state_dict;
use stackgan_core::text::{CharCnnRnnConfig, TextEncoder as _};
use stackgan_data::embeddings::{self, Captioned};
use stackgan_data::formats::{MAX_FILE, read_bounded};

use crate::args::{self, LetterCase, TextImport};
use crate::context::Context;
use crate::encoders::{ClaimedMaker, ImportedEmbeddings};
use crate::exit::Problem;
use crate::output::{Answer, Form, apart, check_new, create_folder_of, path_text, write_file};
use crate::weights;

/// Reads weights and writes an encoder, or captions and writes embeddings.
pub(super) fn run(args: &TextImport, context: &Context) -> Result<()> {
    let file = &args.file;
    if !file.exists() {
        let expected = "a char-CNN-RNN as .t7, .pth or safetensors, or captions with embeddings";
        return Err(Problem::no_file(file, expected, "check the path").into());
    }
    let bytes = read_bounded(file, MAX_FILE)?;
    let imported =
        match embeddings::captioned(&bytes, file, |found| captions(found, args, context))? {
            Some(embeddings) => Imported::Embeddings(embeddings?),
            None => Imported::Encoder(encoder(bytes, args, context)?),
        };
    Form::from(args.json).show(&imported)
}

/// What was imported.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Imported {
    /// A text encoder.
    Encoder(ImportedEncoder),
    /// Captions with their embeddings.
    Embeddings(ImportedEmbeddings),
}

/// A text encoder that was imported.
#[derive(Serialize)]
struct ImportedEncoder {
    file: String,
    fingerprint: String,
    config: CharCnnRnnConfig,
}

impl Answer for Imported {
    fn lines(&self) -> Vec<String> {
        let file = match self {
            Self::Encoder(encoder) => &encoder.file,
            Self::Embeddings(embeddings) => embeddings.file(),
        };
        vec![file.to_owned()]
    }
}

/// Writes the encoder whose weights `bytes` are.
fn encoder(bytes: Vec<u8>, args: &TextImport, context: &Context) -> Result<ImportedEncoder> {
    if let Some(maker) = &args.made_by {
        let place = format!("option: --made-by {}", maker.display());
        let parts = ("captions with their embeddings", "another file, perhaps an encoder");
        let remedy = "leave `--made-by` out: it says which encoder made embeddings";
        return Err(Problem::usage("the file holds no embeddings", place, parts, remedy).into());
    }
    let out = out(args, "encoder.safetensors")?;
    check_new(&out)?;
    let tensors = weights::read(&bytes, &args.file, weights::TEXT_ENCODER, &context.device)?;
    drop(bytes);
    let encoder = from_state_dict(tensors, alphabet(args), &context.device)
        .with_context(|| format!("cannot import\n  file: {}", args.file.display()))?;
    write_file(&out, &encoder.to_bytes()?)?;
    let (config, fingerprint) = (encoder.config(), encoder.fingerprint());
    context.manner.say(format!(
        "char-CNN-RNN with {:?} of {} units, {} wide, fingerprint {}",
        config.recurrence,
        config.units,
        config.dim,
        short(&fingerprint)
    ));
    Ok(ImportedEncoder { file: path_text(&out), fingerprint, config: *config })
}

/// Writes the embeddings of captions.
fn captions(
    found: &Captioned<'_>,
    args: &TextImport,
    context: &Context,
) -> Result<ImportedEmbeddings> {
    if args.case.is_some() || args.unknown.is_some() {
        let option = if args.case.is_some() { "option: --case" } else { "option: --unknown" };
        let parts = ("the weights of an encoder", "captions with their embeddings");
        let remedy = "leave it out: it is kept in the file of an encoder, and decides how that reads sentences";
        let what = "the option is for encoders";
        return Err(Problem::usage(what, option, parts, remedy).into());
    }
    let out = out(args, "captions.safetensors")?;
    let maker = args.made_by.as_deref();
    let maker = maker.map(|name| ClaimedMaker::open(name, context)).transpose()?;
    let maker = maker.map(|claimed| claimed.maker(found.captions(), context.manner)).transpose()?;
    create_folder_of(&out)?;
    let done = found.write(&out, maker.as_ref())?;
    let imported = ImportedEmbeddings::of(done, maker, &out);
    imported.say(context.manner);
    Ok(imported)
}

/// The file that is written, which must be another than those that are read.
fn out(args: &TextImport, unless_told: &str) -> Result<PathBuf> {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(unless_told));
    let maker = args.made_by.as_deref().filter(|maker| maker.is_file());
    let list = args.file.with_extension("txt");
    let read =
        [Some(args.file.as_path()), maker, Some(&*list).filter(|list: &&Path| list.is_file())];
    apart(&read, &[("--out", Some(&out))])?;
    Ok(out)
}

fn alphabet(args: &TextImport) -> AlphabetOptions {
    AlphabetOptions {
        case: match args.case {
            None | Some(LetterCase::Lower) => Case::Lower,
            Some(LetterCase::Keep) => Case::Keep,
        },
        unknown: match args.unknown {
            None | Some(args::Unknown::ZeroRow) => Unknown::ZeroRow,
            Some(args::Unknown::Space) => Unknown::Space,
            Some(args::Unknown::Truncate) => Unknown::Truncate,
        },
    }
}
