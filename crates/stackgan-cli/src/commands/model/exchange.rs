//! `stackgan model import | export`: generators of the PyTorch release in, and out again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use candle_core::Tensor;
use stackgan_core::archive::Archive;
use stackgan_core::plain::state_dict::{Provenance, from_state_dict, to_state_dict};
use stackgan_data::formats::{read_bounded, torch_pickle};

use crate::commands::{Context, load_model, print, text, write_file};

/// What the file does not say of itself.
pub(super) struct Origin {
    /// The text encoder's file.
    pub encoder: Option<PathBuf>,
    /// The dataset's name.
    pub dataset: String,
}

/// Reads a `.pth` and writes a model.
pub(super) fn import(file: &Path, out: &Path, origin: Origin, context: &Context) -> Result<()> {
    let bytes = read_bounded(file, torch_pickle::MAX_FILE)?;
    let mut tensors = BTreeMap::new();
    for named in torch_pickle::decode(&bytes, file)? {
        let values = Tensor::from_vec(named.array.to_f32(), named.array.shape, &context.device)?;
        tensors.insert(named.name, values);
    }
    let encoder = origin.encoder.map(|file| text::load(&file)).transpose()?;
    let encoder = encoder.map(|e| e.text.with_standardise(None)).transpose()?;
    let from = Provenance { encoder, dataset: origin.dataset };
    let model = from_state_dict(tensors, from, &context.device)
        .with_context(|| format!("cannot import\n  file: {}", file.display()))?;
    write_file(out, &model.to_bytes()?)?;
    print(out.display())
}

/// Writes the state dict of a model's generator as safetensors.
pub(super) fn export(path: &Path, out: &Path, context: &Context) -> Result<()> {
    let (model, _) = load_model(path, &context.device)?;
    let tensors = to_state_dict(&model)?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    write_file(out, &Archive { metadata, tensors }.to_bytes()?)?;
    print(out.display())
}
