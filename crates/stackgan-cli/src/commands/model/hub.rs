//! `stackgan model export --hub`: a model as a folder for the Hugging Face Hub, with
//! `model.safetensors`, `config.json` and the card, `README.md`. This program can also read the
//! folder as a model.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use stackgan_core::digest::sha256;
use stackgan_core::{Model, TextPart};
use stackgan_train::run_files::MODEL;

use super::card::{Encoder, card, plain};
use crate::context::Context;
use crate::exit::Problem;
use crate::models::load;
use crate::output::{Written, write_file};
use crate::version::VERSION;

/// Writes the folder, which must be new or empty, because an existing card may have been edited by
/// hand.
pub(super) fn export(path: &Path, folder: &Path, context: &Context) -> Result<Written> {
    let model = published(load(path, context)?.model)?;
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let place = format!("folder: {}", folder.display());
        let parts = ("a new or an empty folder", "files in it");
        let remedy = "name another folder, or empty this one";
        return Err(Problem::usage("the folder is in use", place, parts, remedy).into());
    }
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
    write_file(&folder.join("README.md"), card(&model, &plain(&name), &sha256).as_bytes())?;
    Ok(Written::of([folder]))
}

/// A model as others may see it: without the folder of this machine in which its text encoder is.
///
/// # Errors
/// Those of the device.
pub(super) fn published(model: Model) -> Result<Model> {
    let device = model.device().clone();
    let named = Encoder::of(model.info()).source().map(str::to_owned);
    let mut parts = model.into_parts();
    if let TextPart::Beside { source, .. } = &mut parts.text {
        *source = named;
    }
    Ok(Model::new(parts, &device)?)
}
