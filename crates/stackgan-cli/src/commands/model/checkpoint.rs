//! `stackgan model import` of TensorFlow's checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use stackgan_core::digest::Sum;
use stackgan_core::residual::variables::{self, from_variables};
use stackgan_core::shapes::Shapes;
use stackgan_data::formats::tensorflow::Checkpoint;
use stackgan_eval::features::Network;
use stackgan_eval::features::inception::slim;
use stackgan_train::run_files::MODEL;

use super::origin::{Origin, kept_elsewhere};
use crate::context::Context;
use crate::exit::Problem;
use crate::measuring::judge;
use crate::output::{Written, apart, check_new, write_file};

/// Writes a model of the generators in a checkpoint of the TensorFlow release, or stores the
/// authors' Inception network.
pub(super) fn import(
    checkpoint: &Checkpoint,
    out: Option<&Path>,
    origin: &Origin,
    context: &Context,
) -> Result<Written> {
    let (file, shapes) = (checkpoint.file(), &checkpoint.shapes());
    let cannot = || format!("cannot import\n  file: {}", file.display());
    if let Some(names) = slim::variables(shapes.keys().map(String::as_str)) {
        kept_elsewhere(out)?;
        return import_inception(checkpoint, (&names, shapes));
    }
    let out = out.unwrap_or(Path::new(MODEL));
    let needed = variables::needed(shapes).with_context(cannot)?;
    let mut files = checkpoint.files();
    if file.extension().is_some_and(|extension| extension == "index") {
        files.extend([file.with_extension(""), file.with_extension("meta")]); // its other names
    }
    let read = files.iter().map(PathBuf::as_path).chain(origin.encoder.as_deref()).map(Some);
    apart(&read.collect::<Vec<_>>(), &[("--out", Some(out))])?;
    check_new(out)?;
    let encoder = origin.encoder()?;
    let tensors = numbers(checkpoint, (&needed, shapes), &context.device)?;
    let dataset = origin.dataset.as_deref().unwrap_or("unknown");
    let model = from_variables(tensors, encoder, dataset, &context.device).with_context(cannot)?;
    write_file(out, &model.to_bytes()?)?;
    Ok(Written::of([out]))
}

/// Stores the authors' Inception network, whose variables are `names`.
fn import_inception(
    checkpoint: &Checkpoint,
    (names, shapes): (&BTreeSet<String>, &Shapes),
) -> Result<Written> {
    let file = checkpoint.file();
    let tensors = slim::state_dict(numbers(checkpoint, (names, shapes), &Device::Cpu)?)?;
    let found = tensors.get("fc.bias").map_or(0, Tensor::elem_count);
    if !matches!(found, 21 | 51) {
        let parts = ("a background and 50 birds or 20 flowers", format!("{found} classes"));
        let remedy = "give one of the authors' checkpoints (StackGAN-inception-model)";
        return Err(Problem::data("another network's classes", file, parts, remedy).into());
    }
    judge::import(Network::InceptionStackGan, &tensors, (file, &sum_of(checkpoint)?))
}

fn numbers(
    checkpoint: &Checkpoint,
    (names, shapes): (&BTreeSet<String>, &Shapes),
    device: &Device,
) -> Result<BTreeMap<String, Tensor>> {
    let tensor = |(name, numbers): (String, Vec<f32>)| {
        let shape = shapes.get(&name).map_or(&[][..], Vec::as_slice);
        let tensor = Tensor::from_vec(numbers, shape, device)?;
        Ok((name, tensor))
    };
    checkpoint.read(names)?.into_iter().map(tensor).collect()
}

/// Refuses a file that is no checkpoint but is called as one: one that is not whole, or another of
/// the files beside it. Other programs call files of PyTorch so, too.
///
/// # Errors
/// Code 3.
pub(super) fn check_name(file: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let others = [".pth", ".pt", ".t7", ".safetensors"];
    let called = name == "checkpoint" || name.contains(".ckpt");
    if !called || others.iter().any(|end| name.ends_with(end)) || !file.is_file() {
        return Ok(());
    }
    let mut begins = [0; 2];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut begins));
    if read.is_ok() && matches!(begins, [b'P', b'K'] | [0x80, _]) {
        return Ok(());
    }
    let parts = ("a table of TensorFlow, with its mark at the end", "another end");
    let remedy = "of a checkpoint in several files name the one that ends in `.index`; if it is one file, fetch or copy it again";
    Err(Problem::data("no checkpoint, or not a whole one", file, parts, remedy).into())
}

/// The SHA-256 of all files of a checkpoint, one after the other.
fn sum_of(checkpoint: &Checkpoint) -> Result<String> {
    let mut sum = Sum::default();
    for file in checkpoint.files() {
        let cannot = || format!("cannot read\n  file: {}", file.display());
        let mut reader = BufReader::with_capacity(1 << 20, File::open(&file).with_context(cannot)?);
        loop {
            let bytes = reader.fill_buf().with_context(cannot)?;
            let read = bytes.len();
            if read == 0 {
                break;
            }
            sum.add(bytes);
            reader.consume(read);
        }
    }
    Ok(sum.finish())
}
