//! `stackgan model import | export`: imports generators of both releases and measuring networks, and
//! exports generators for PyTorch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::digest::{Sum, sha256};
use stackgan_core::plain::state_dict::{from_state_dict, to_state_dict};
use stackgan_core::residual::variables::{self, from_variables};
use stackgan_core::text::CharCnnRnnEncoder;
use stackgan_data::formats::tensorflow::Checkpoint;
use stackgan_data::formats::{read_bounded, torch_pickle};
use stackgan_eval::features::Network;
use stackgan_eval::features::inception::slim;

use crate::context::Context;
use crate::encoders;
use crate::exit::Problem;
use crate::measuring::judge;
use crate::models::{Loaded, load};
use crate::output::{apart, print, write_file};
use crate::weights;

/// Facts that the file does not contain.
pub(super) struct Origin {
    /// The text encoder's file.
    pub encoder: Option<PathBuf>,
    /// The dataset's name.
    pub dataset: Option<String>,
}

impl Origin {
    fn encoder(&self) -> Result<Option<CharCnnRnnEncoder>> {
        let encoder = self.encoder.as_deref().map(encoders::load).transpose()?;
        Ok(encoder.map(|encoder| encoder.with_standardise(None)).transpose()?)
    }
}

/// Reads a checkpoint or a state dict and writes a model; weights of a measuring network are stored
/// for `stackgan eval`.
pub(super) fn import(file: &Path, out: &Path, origin: Origin, context: &Context) -> Result<()> {
    if let Some(checkpoint) = Checkpoint::open(file)? {
        return import_checkpoint(&checkpoint, out, &origin, context);
    }
    if !file.exists() {
        let place = format!("file: {}", file.display());
        let expected = "a checkpoint, or a state dict as .pth, .t7 or safetensors";
        return Err(
            Problem::missing("there is no such file", place, expected, "check the path").into()
        );
    }
    let bytes = read_bounded(file, torch_pickle::MAX_FILE)?;
    let tensors = weights::read(&bytes, file, weights::MODEL, &context.device)?;
    let shapes = tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect();
    if let Some(network) = weights::network_of(&shapes) {
        return judge::import(network, &tensors, (file, &sha256(&bytes)));
    }
    drop(bytes);
    apart(&[Some(file), origin.encoder.as_deref()], &[("--out", Some(out))])?;
    let dataset = origin.dataset.as_deref().unwrap_or("coco");
    let model = from_state_dict(tensors, origin.encoder()?, dataset, &context.device)
        .with_context(|| format!("cannot import\n  file: {}", file.display()))?;
    write_file(out, &model.to_bytes()?)?;
    print(out.display())
}

/// Writes a model of the generators in a checkpoint of the TensorFlow release, or stores the
/// authors' Inception network.
fn import_checkpoint(
    checkpoint: &Checkpoint,
    out: &Path,
    origin: &Origin,
    context: &Context,
) -> Result<()> {
    let (file, shapes) = (checkpoint.file(), checkpoint.shapes());
    let cannot = || format!("cannot import\n  file: {}", file.display());
    if let Some(variables) = slim::variables(shapes.keys().map(String::as_str)) {
        let tensors = slim::state_dict(numbers(checkpoint, &variables, &Device::Cpu)?)?;
        let found = tensors.get("fc.bias").map_or(0, Tensor::elem_count);
        if !matches!(found, 21 | 51) {
            let parts = ("a background and 50 birds or 20 flowers", format!("{found} classes"));
            let remedy = "give one of the authors' checkpoints (StackGAN-inception-model)";
            return Err(Problem::data("another network's classes", file, parts, remedy).into());
        }
        return judge::import(Network::InceptionStackGan, &tensors, (file, &sum_of(file)?));
    }
    let needed = variables::needed(shapes).with_context(cannot)?;
    apart(&[Some(file), origin.encoder.as_deref()], &[("--out", Some(out))])?;
    let encoder = origin.encoder()?;
    let tensors = numbers(checkpoint, &needed, &context.device)?;
    let dataset = origin.dataset.as_deref().unwrap_or("unknown");
    let model = from_variables(tensors, encoder, dataset, &context.device).with_context(cannot)?;
    write_file(out, &model.to_bytes()?)?;
    print(out.display())
}

fn numbers(
    checkpoint: &Checkpoint,
    names: &BTreeSet<String>,
    device: &Device,
) -> Result<BTreeMap<String, Tensor>> {
    let tensor = |(name, numbers): (String, Vec<f32>)| {
        let shape = checkpoint.shapes().get(&name).map_or(&[][..], Vec::as_slice);
        let tensor = Tensor::from_vec(numbers, shape, device)?;
        Ok((name, tensor))
    };
    checkpoint.read(names)?.into_iter().map(tensor).collect()
}

/// The SHA-256 of a file that may be large.
fn sum_of(file: &Path) -> Result<String> {
    let cannot = || format!("cannot read\n  file: {}", file.display());
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file).with_context(cannot)?);
    let mut sum = Sum::default();
    loop {
        let bytes = reader.fill_buf().with_context(cannot)?;
        if bytes.is_empty() {
            return Ok(sum.finish());
        }
        sum.add(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
}

/// Writes the state dict of a model's generator as safetensors.
pub(super) fn export(path: &Path, out: &Path, context: &Context) -> Result<()> {
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
    let tensors = to_state_dict(&model)
        .with_context(|| format!("cannot export\n  file: {}", path.display()))?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    write_file(out, &Archive { metadata, tensors }.to_bytes()?)?;
    print(out.display())
}
