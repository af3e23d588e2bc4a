//! `stackgan model export --onnx`: the generator and the text encoder for ONNX runtimes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use candle_core::Tensor;
use stackgan_core::{Model, onnx};
use stackgan_data::counted;
use stackgan_train::encoding::CHUNK;

use super::hub::published;
use crate::args;
use crate::captions::{self, Blank};
use crate::context::Context;
use crate::encoders;
use crate::exit::Problem;
use crate::models::{Loaded, load, stage_of};
use crate::output::{Written, apart, would_replace, write_file};

/// Writes the requested files.
pub(super) fn export(path: &Path, asked: &args::Onnx, context: &Context) -> Result<Written> {
    let Loaded { mut model, sha256, file, .. } = load(path, context)?;
    let read = [Some(file.as_path()), asked.fold_captions.as_deref(), asked.encoder.as_deref()];
    let written =
        [("--onnx", asked.generator.as_deref()), ("--onnx-encoder", asked.onnx_encoder.as_deref())];
    apart(&read, &written)?;
    written.into_iter().try_for_each(|(option, file)| check_free(option, file))?;
    let stage = stage_of(&model, asked.stage, path)?;
    let cannot = || format!("cannot export\n  file: {}", path.display());
    if let Some(out) = &asked.onnx_encoder {
        let encoder = model.encoder().ok_or_else(|| no_encoder(path))?;
        write_file(out, &onnx::encoder(encoder).with_context(cannot)?)?;
    }
    if let Some(out) = &asked.generator {
        let file = match &asked.fold_captions {
            None => onnx::generator(&published(model)?, stage, &sha256),
            Some(captions) => {
                let lines = captions::of(&[], Some(captions), CHUNK, Blank::Refused)?;
                let named = asked.encoder.as_deref();
                encoders::attach_to_read(&mut model, path, named, context)?;
                let vectors = vectors(&model, lines)?;
                let classes = counted(vectors.dim(0)?, "class");
                context
                    .manner
                    .say(format!("{classes}: one for each line of {}", captions.display()));
                onnx::classes(&published(model)?, stage, &vectors, &sha256)
            }
        };
        write_file(out, &file.with_context(cannot)?)?;
    }
    let written = [&asked.onnx_encoder, &asked.generator];
    Ok(Written::of(written.into_iter().filter_map(Option::as_deref)))
}

/// The sentences of a file in the form that the networks take.
fn vectors(model: &Model, lines: impl Iterator<Item = Result<Vec<String>>>) -> Result<Tensor> {
    let mut vectors = Vec::new();
    for captions in lines {
        let captions = captions?;
        vectors.push(model.encode(&captions.iter().map(String::as_str).collect::<Vec<_>>())?);
    }
    Ok(Tensor::cat(&vectors, 0)?)
}

/// Refuses to replace a file, unless it is an ONNX file of this program.
fn check_free(option: &str, file: Option<&Path>) -> Result<()> {
    let Some(file) = file.filter(|file| file.is_file() && !is_ours(file).is_ok_and(|ours| ours))
    else {
        return Ok(());
    };
    let parts = ("no file, or an ONNX file of this program", "another file of this name");
    Err(would_replace("the export would replace a file", (option, file), parts).into())
}

/// Whether a file is an ONNX file of this program: it begins with its graph, and says later whose it
/// is.
fn is_ours(file: &Path) -> io::Result<bool> {
    const GRAPH: u8 = b':'; // field 7 of a `ModelProto`
    const MARK: &[u8] = b"stackgan-onnx/";
    const PIECE: u64 = 1 << 20;
    let (mut file, mut bytes, mut begun) = (File::open(file)?, Vec::new(), false);
    loop {
        let kept = bytes.len().min(MARK.len() - 1); // the mark may lie across two pieces
        bytes.drain(..bytes.len() - kept);
        let read = (&mut file).take(PIECE).read_to_end(&mut bytes)?;
        if read == 0 || !(begun || bytes.first() == Some(&GRAPH)) {
            return Ok(false);
        }
        if bytes.windows(MARK.len()).any(|part| part == MARK) {
            return Ok(true);
        }
        begun = true;
    }
}

fn no_encoder(model: &Path) -> Problem {
    let parts = ("a model with a char-CNN-RNN in its file", "one without");
    let remedy =
        "leave `--onnx-encoder` out: embeddings come from the encoder that it was trained with";
    let place = format!("file: {}", model.display());
    Problem::usage("the model holds no text encoder", place, parts, remedy)
}
