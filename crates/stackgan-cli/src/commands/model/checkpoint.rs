//! `stackgan model import` of TensorFlow's checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use stackgan_core::digest::Sum;
use stackgan_core::residual::variables::{self, from_variables};
use stackgan_data::formats::tensorflow::Checkpoint;
use stackgan_eval::features::Network;
use stackgan_eval::features::inception::slim;

use super::origin::Origin;
use crate::context::Context;
use crate::exit::Problem;
use crate::measuring::judge;
use crate::output::{apart, print, write_file};

/// Writes a model of the generators in a checkpoint of the TensorFlow release, or stores the
/// authors' Inception network.
pub(super) fn import(
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
    let files = checkpoint.files();
    let read = files.iter().map(PathBuf::as_path).chain(origin.encoder.as_deref()).map(Some);
    apart(&read.collect::<Vec<_>>(), &[("--out", Some(out))])?;
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

/// The SHA-256 of a checkpoint's file, or of its index, which holds the sums of all numbers.
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
