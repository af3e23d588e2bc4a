//! `stackgan model import | export` of state dicts: generators of the PyTorch release, and measuring
//! networks.

use std::path::Path;

use anyhow::{Context as _, Result};
use stackgan_core::archive::Archive;
use stackgan_core::digest::sha256;
use stackgan_core::plain::state_dict::{from_state_dict, to_state_dict};
use stackgan_core::shapes;
use stackgan_data::formats::{MAX_FILE, read_bounded};
use stackgan_eval::features::Network;
use stackgan_train::run_files::MODEL;

use super::origin::{Origin, kept_elsewhere};
use crate::context::Context;
use crate::exit::Problem;
use crate::measuring::judge;
use crate::models::{Loaded, load};
use crate::output::{Written, apart, check_new, spare, write_file};
use crate::weights;

/// Reads a state dict and writes a model; weights of a measuring network are stored for
/// `stackgan eval`.
pub(super) fn import(
    file: &Path,
    out: Option<&Path>,
    origin: &Origin,
    context: &Context,
) -> Result<Written> {
    if !file.exists() {
        let expected = "a checkpoint, or a state dict as .pth, .t7 or safetensors";
        return Err(Problem::no_file(file, expected, "check the path").into());
    }
    let bytes = read_bounded(file, MAX_FILE)?;
    let tensors = weights::read(&bytes, file, weights::MODEL, &context.device)?;
    if let Some(network) = Network::of_shapes(&shapes::of(&tensors)) {
        kept_elsewhere(out)?;
        return judge::import(network, &tensors, (file, &sha256(&bytes)));
    }
    drop(bytes);
    let out = out.unwrap_or(Path::new(MODEL));
    apart(&[Some(file), origin.encoder.as_deref()], &[("--out", Some(out))])?;
    check_new(out)?;
    let dataset = origin.dataset.as_deref().unwrap_or("coco");
    let model = from_state_dict(tensors, origin.encoder()?, dataset, &context.device)
        .with_context(|| format!("cannot import\n  file: {}", file.display()))?;
    write_file(out, &model.to_bytes()?)?;
    Ok(Written::of([out]))
}

/// Writes the state dict of a model's generator as safetensors.
pub(super) fn export(path: &Path, out: &Path, context: &Context) -> Result<Written> {
    if out.extension().is_none_or(|extension| extension != "safetensors") {
        let place = format!("option: --out {}", out.display());
        let parts = ("a name that ends in .safetensors", "another format");
        let remedy =
            "PyTorch reads safetensors: `netG.load_state_dict(safetensors.torch.load_file(FILE))`";
        let what = "the weights are exported as safetensors alone";
        return Err(Problem::usage(what, place, parts, remedy).into());
    }
    let Loaded { model, file, .. } = load(path, context)?;
    apart(&[Some(&file)], &[("--out", Some(out))])?;
    spare(("--out", out), &[])?;
    let tensors = to_state_dict(&model)
        .with_context(|| format!("cannot export\n  file: {}", path.display()))?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    write_file(out, &Archive { metadata, tensors }.to_bytes()?)?;
    Ok(Written::of([out]))
}
