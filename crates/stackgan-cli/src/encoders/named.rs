//! The text encoder named by `--encoder`: a file of a char-CNN-RNN, a folder with a sentence
//! encoder, or `hub:OWNER/NAME` (`hub:OWNER/NAME@REVISION`) for one on the Hugging Face Hub.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use candle_core::Device;
use safetensors::SafeTensors;
use stackgan_core::Model;
use stackgan_core::archive::KEY;
use stackgan_core::text::{CharCnnRnnEncoder, SentenceEncoder, SentenceFiles, TextEncoder};
use stackgan_data::fetch::hub::{Layout, Wanted};
use stackgan_data::formats::read_bounded;
use stackgan_train::run_files;
use stackgan_train::text::TrainedEncoder;

use crate::context::Context;
use crate::exit::{Exit, Problem};
use crate::hub::{self, HUB};
use crate::output::{absolute, said_kind};
use crate::weights::{Expected, NO_IMAGE_SIDE, foreign};

/// How the kind of a model's file begins.
const MODEL: &str = "stackgan-model/";
/// Maximum size of an encoder file in bytes.
const LARGEST: u64 = 2 << 30;
/// Maximum size of a JSON file beside it in bytes.
const LARGEST_JSON: u64 = 64 << 20;

/// The files of a sentence encoder in the layout of sentence-transformers.
const FILES: [Wanted<'static>; 6] = [
    Wanted { name: "config.json", most: LARGEST_JSON, needed: true },
    Wanted { name: "tokenizer.json", most: LARGEST_JSON, needed: true },
    Wanted { name: "model.safetensors", most: LARGEST, needed: true },
    Wanted { name: "modules.json", most: LARGEST_JSON, needed: false },
    Wanted { name: "1_Pooling/config.json", most: LARGEST_JSON, needed: false },
    Wanted { name: "sentence_bert_config.json", most: LARGEST_JSON, needed: false },
];

/// What is fetched of a repository.
const LAYOUT: Layout<'static> = Layout {
    files: &FILES,
    expected: "a repository in the layout of sentence-transformers, with safetensors",
    remedy: "choose another, such as hub:sentence-transformers/all-MiniLM-L6-v2",
};

/// A text encoder.
pub(crate) enum Encoder {
    /// The encoder of the paper, which becomes part of a model.
    CharCnnRnn(Box<CharCnnRnnEncoder>),
    /// A sentence encoder, which is not stored in the model, and its source.
    Sentence(Box<SentenceEncoder>, String),
}

impl Encoder {
    /// The common interface of both.
    pub(crate) fn text(&self) -> &dyn TextEncoder {
        match self {
            Self::CharCnnRnn(encoder) => encoder.as_ref(),
            Self::Sentence(encoder, _) => encoder.as_ref(),
        }
    }

    fn boxed(self) -> Box<dyn TextEncoder> {
        match self {
            Self::CharCnnRnn(encoder) => encoder,
            Self::Sentence(encoder, _) => encoder,
        }
    }
}

/// Opens the encoder called `name`. Its vectors are those of the network, as of [`load`].
///
/// # Errors
/// Code 4 when it does not exist or cannot be fetched, 3 when it is damaged or another program's.
pub(crate) fn open(name: &Path, context: &Context) -> Result<Encoder> {
    if let Some(repository) = hub::repository(name) {
        let (repository, folder) = hub::fetch(repository, &LAYOUT, context.manner)?;
        return sentence(&folder, format!("{HUB}{repository}"), context);
    }
    if name.is_dir() {
        let model = name.join(run_files::MODEL); // of a run or a demo, whose model has an encoder
        if name.join("config.json").exists() || !model.is_file() {
            return sentence(name, absolute(name).display().to_string(), context);
        }
        return Ok(Encoder::CharCnnRnn(Box::new(load(&model)?)));
    }
    Ok(Encoder::CharCnnRnn(Box::new(load(name)?)))
}

/// Reads the file of a char-CNN-RNN, as written by `text train` or `text import`, or the one in a
/// model file. Its vectors are those of the network: whether they are standardised is a setting of a
/// run.
///
/// # Errors
/// Code 4 when it does not exist, 3 when it is damaged or another program's.
pub(crate) fn load(file: &Path) -> Result<CharCnnRnnEncoder> {
    let (bytes, device) = (bytes_of(file)?, Device::Cpu);
    let encoder = match kind(&bytes).as_deref() {
        Some("char-cnn-rnn") => {
            CharCnnRnnEncoder::from_bytes(&bytes, &device).with_context(|| cannot(file))?
        }
        Some(kind) if kind.starts_with(MODEL) => {
            let model = Model::from_bytes(&bytes, &device).with_context(|| cannot(file))?;
            let encoder = model.encoder().ok_or_else(|| no_part(file))?;
            return Ok(encoder.unstandardised(&device)?);
        }
        _ => trained(&bytes, file, Expected::Encoder)?.text,
    };
    Ok(encoder.with_standardise(None)?)
}

/// Opens an encoder with its image side, if it was written by `text train`; else `None`.
///
/// # Errors
/// As [`load`].
pub(crate) fn with_image_side(name: &Path) -> Result<Option<TrainedEncoder>> {
    image_side(name, Expected::Encoder)
}

fn image_side(name: &Path, expected: Expected) -> Result<Option<TrainedEncoder>> {
    if hub::repository(name).is_some() || name.is_dir() {
        return Ok(None);
    }
    let bytes = bytes_of(name)?;
    if kind(&bytes).is_some_and(|kind| kind == "char-cnn-rnn" || kind.starts_with(MODEL)) {
        return Ok(None);
    }
    trained(&bytes, name, expected).map(Some)
}

/// Reads an encoder that `text train` wrote.
fn trained(bytes: &[u8], file: &Path, expected: Expected) -> Result<TrainedEncoder> {
    TrainedEncoder::from_bytes(bytes).map_err(|error| match foreign(bytes, file, expected) {
        Some(problem) => problem.into(),
        None => anyhow::Error::from(error).context(cannot(file)),
    })
}

/// Reads an encoder that `text train` wrote, with the image side that the text encoder was trained
/// with.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_trained(file: &Path) -> Result<TrainedEncoder> {
    match image_side(file, Expected::Trained)? {
        Some(encoder) => Ok(encoder),
        None => {
            let parts = ("an encoder of `stackgan text train`", "one that reads text alone");
            let what = "the encoder has no image side";
            Err(Problem::data(what, file, parts, NO_IMAGE_SIDE).into())
        }
    }
}

fn no_part(file: &Path) -> Problem {
    let remedy =
        "name the encoder that it was trained with: `stackgan model info` tells what it is";
    let parts = ("a model with one", "one without");
    Problem::data("the model has no text encoder in its file", file, parts, remedy)
}

fn cannot(file: &Path) -> String {
    format!("cannot use the text encoder\n  file: {}", file.display())
}

fn bytes_of(file: &Path) -> Result<Vec<u8>> {
    let place = format!("file: {}", file.display());
    let Ok(facts) = file.metadata() else {
        let remedy = "make one: `stackgan text train --data DIR --out encoder.safetensors`";
        let (what, expected) = ("there is no text encoder", "an encoder file");
        return Err(Problem::missing(what, place, expected, remedy).into());
    };
    let unreadable = |found: String| {
        let what = "the text encoder cannot be read";
        Problem::data(what, file, ("an encoder file", found), "check the path")
    };
    if !facts.is_file() || facts.len() > LARGEST {
        return Err(unreadable(format!("{} bytes, or no file", facts.len())).into());
    }
    Ok(std::fs::read(file).map_err(|e| unreadable(e.to_string()))?)
}

/// The kind of one of our files, from its metadata.
pub(crate) fn kind(bytes: &[u8]) -> Option<String> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    said_kind(header.metadata().as_ref()?.get(KEY)?)
}

/// Reads a sentence encoder's folder.
fn sentence(folder: &Path, source: String, context: &Context) -> Result<Encoder> {
    let mut files: Vec<Option<Vec<u8>>> = Vec::new();
    for Wanted { name, most, needed } in FILES {
        let path = folder.join(name);
        files.push(match (path.is_file(), needed) {
            (true, _) => Some(read_bounded(&path, most)?),
            (false, false) => None,
            (false, true) => return Err(incomplete(&path).into()),
        });
    }
    let given = |i: usize| files.get(i).and_then(Option::as_deref);
    let encoder = SentenceEncoder::new(
        &SentenceFiles {
            config: given(0).unwrap_or_default(),
            tokenizer: given(1).unwrap_or_default(),
            weights: given(2).unwrap_or_default(),
            modules: given(3),
            pooling: given(4),
            limits: given(5),
        },
        &context.device,
    );
    let encoder = encoder
        .with_context(|| format!("cannot use the text encoder\n  folder: {}", folder.display()))?;
    Ok(Encoder::Sentence(Box::new(encoder), source))
}

fn incomplete(path: &Path) -> Problem {
    let remedy = "give a file of `stackgan text train`, the folder of a sentence encoder, or \
                  hub:sentence-transformers/all-MiniLM-L6-v2";
    let expected = "config.json, tokenizer.json and model.safetensors";
    let place = format!("file: {}", path.display());
    Problem::missing("the folder holds no sentence encoder", place, expected, remedy)
}

/// Attaches the named encoder to a model; without a name, the one that the model itself names.
///
/// # Errors
/// Code 3 when it is not the encoder of the model's training, 4 when it cannot be found or fetched.
pub(crate) fn attach(model: &mut Model, named: Option<&Path>, context: &Context) -> Result<()> {
    let (name, encoder) = match (named, model.info().encoder_source.clone()) {
        (Some(name), _) => (name.to_path_buf(), open(name, context)?),
        (None, Some(source)) => (PathBuf::from(&source), of_model(&source, context)?),
        (None, None) => return Ok(()),
    };
    model.attach(encoder.boxed()).map_err(|error| another(error, &name, model))
}

/// Opens the encoder that a model names as the one of its training.
///
/// # Errors
/// As [`open`]; code 4 when it is no longer where it was.
pub(crate) fn of_model(source: &str, context: &Context) -> Result<Encoder> {
    let name = Path::new(source);
    if hub::repository(name).is_none() && !name.exists() {
        let place = format!("path: {}", name.display());
        let expected = "the text encoder of the model's training, which is not in its file";
        let remedy = "if it was moved, name its new place: `--encoder PATH`; `stackgan model info` shows its fingerprint";
        let what = "the model's text encoder is gone";
        return Err(Problem::missing(what, place, expected, remedy).into());
    }
    open(name, context)
}

/// The error for an encoder that is not the model's, with the option that names the model's own.
fn another(error: stackgan_core::Error, named: &Path, model: &Model) -> anyhow::Error {
    let stackgan_core::Error::Model { what, expected, found, .. } = error else {
        return error.into();
    };
    let remedy = match (model.encoder(), &model.info().encoder_source) {
        (Some(_), _) => "leave `--encoder` out: the model has its own".to_owned(),
        (None, Some(source)) => {
            let source = source.escape_debug();
            format!("give `--encoder {source}`, or its new place if it was moved")
        }
        (None, None) => {
            "give the encoder that made the embeddings of its training: `--encoder`".to_owned()
        }
    };
    let place = format!("encoder: {}", named.display());
    let problem = Problem::usage(what, place, (expected, found), remedy);
    Problem { exit: Exit::Data, ..problem }.into()
}

/// As [`attach`], for the model of `file`, which must read sentences then.
///
/// # Errors
/// As [`attach`]; code 4 when the model has no encoder.
pub(crate) fn attach_to_read(
    model: &mut Model,
    file: &Path,
    named: Option<&Path>,
    context: &Context,
) -> Result<()> {
    attach(model, named, context)?;
    if model.reads_sentences() {
        return Ok(());
    }
    let place = format!("file: {}", file.display());
    let expected = "the encoder that made the embeddings of its training";
    let remedy = "give it: `--encoder`; or paint from embeddings: `stackgan generate --data DIR --rows 0-7`, or \
                  `--embeddings FILE`";
    let what = "the model has no text encoder of its own";
    Err(Problem::missing(what, place, expected, remedy).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_of_the_hub_and_of_folders_have_no_image_side() {
        let folder = tempfile::tempdir().unwrap();
        for name in [Path::new("hub:owner/name"), folder.path()] {
            assert!(with_image_side(name).unwrap().is_none(), "{}", name.display());
        }
        assert!(with_image_side(&folder.path().join("none.safetensors")).is_err());
    }
}
