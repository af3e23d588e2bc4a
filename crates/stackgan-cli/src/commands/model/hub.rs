//! `stackgan model export --hub`: a model as a folder for the Hugging Face Hub, with
//! `model.safetensors`, `config.json`, the card `README.md`, and pictures for it. This program can also read the
//! folder as a model.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use stackgan_core::digest::sha256;
use stackgan_core::image::grid;
use stackgan_core::{Model, TextPart};
use stackgan_data::counted;
use stackgan_train::run_files::MODEL;

use super::card::{Encoder, SAMPLES, card, plain};
use crate::captions::check_said;
use crate::context::Context;
use crate::encoders::{self, Unread};
use crate::exit::Problem;
use crate::output::{Written, write_file};
use crate::painting::Painter;
use crate::progress::Phase;
use crate::version::VERSION;

/// The seeds of the pictures of a card: five of each sentence.
const SEEDS: [u64; 5] = [0, 1, 2, 3, 4];
/// Most sentences of a card.
const MOST: usize = 8;

/// Writes the folder, which must be new or empty, because an existing card may have been edited by
/// hand. The card shows pictures of the sentences `prompts`, read with the model's text encoder, or with
/// the one that is named.
///
/// # Errors
/// Code 2 for a folder in use or too many sentences; errors of the model, of its text encoder if there
/// are sentences, and of the storage.
pub(super) fn export(
    path: &Path,
    folder: &Path,
    (prompts, encoder): (&[String], Option<&Path>),
    context: &Context,
) -> Result<Written> {
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let place = format!("folder: {}", folder.display());
        let parts = ("a new or an empty folder", "files in it");
        let remedy = "name another folder, or empty this one";
        return Err(Problem::usage("the folder is in use", place, parts, remedy).into());
    }
    if prompts.len() > MOST {
        let parts = (format!("at most {MOST} sentences"), prompts.len().to_string());
        let remedy = "choose some: each is a row of five pictures";
        let what = "too many sentences for a card";
        return Err(Problem::usage(what, "option: --prompt", parts, remedy).into());
    }
    check_said(prompts)?;
    let mut painter = Painter::open(path, context)?;
    let samples = match prompts {
        [] => None,
        _ => {
            encoders::attach_to_read(&mut painter.named.model, path, encoder, context)?;
            Some(paint(&painter, prompts, context)?)
        }
    };
    let model = published(painter.named.model)?;
    // Not the bytes of the file, which may be a checkpoint, a pipe that was read to its end, or
    // another model by now.
    let bytes = model.to_bytes()?;
    let sha256 = sha256(&bytes);
    let info = model.info();
    let config = json!({
        "model_type": "stackgan",
        "architectures": ["StackGAN"],
        "recipe": info.stage1.net.recipe,
        "image_size": model.last_stage().side(),
        "stage1": info.stage1.net,
        "stage2": info.stage2.as_ref().map(|stage| stage.net),
        "text_encoder": info.encoder,
        "text_encoder_source": Encoder::of(info).source(),
        "weights_sha256": sha256,
        "stackgan_version": VERSION,
    });
    let config = format!("{}\n", serde_json::to_string_pretty(&config)?);
    let name = folder.file_name().map_or_else(|| "stackgan".into(), |name| name.to_string_lossy());
    write_file(&folder.join(MODEL), &bytes)?;
    write_file(&folder.join("config.json"), config.as_bytes())?;
    if let Some(png) = samples {
        write_file(&folder.join(SAMPLES), &png)?;
    }
    let card = card(&model, &plain(&name), &sha256, prompts);
    write_file(&folder.join("README.md"), card.as_bytes())?;
    Ok(Written::of([folder]))
}

/// Paints a row of pictures for each sentence: a PNG file.
fn paint(painter: &Painter, prompts: &[String], context: &Context) -> Result<Vec<u8>> {
    let total = prompts.len() * SEEDS.len();
    let mut phase = Phase::new(context.manner, "painting", total as u64, "pictures");
    let mut unread = Unread::of(&painter.named.model);
    unread.warn(prompts, &phase);
    unread.finish(&phase);
    let (read, mut pictures) = (painter.read(prompts.to_vec())?, Vec::with_capacity(total));
    painter.paint(&read, &SEEDS, |painted| {
        pictures.push(painted.picture);
        phase.at(pictures.len() as u64);
        Ok(())
    })?;
    phase.finish(&counted(total, "picture"));
    painter.composed(&grid(&pictures, SEEDS.len(), 2))
}

/// A model as others may see it: without the folder of this machine in which its text encoder is.
///
/// # Errors
/// Those of the device.
pub(super) fn published(model: Model) -> Result<Model> {
    let named = Encoder::of(model.info()).source().map(str::to_owned);
    let mut parts = model.into_parts();
    if let TextPart::Beside { source, .. } = &mut parts.text {
        *source = named;
    }
    Ok(Model::new(parts)?)
}
