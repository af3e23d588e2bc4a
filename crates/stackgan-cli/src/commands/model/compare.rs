//! `stackgan model verify | diff`: whether a model is whole, and where two models differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use candle_core::Tensor;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{GeneratorNoise, Mode, Model};

use crate::commands::{Context, load_model, print};
use crate::exit::Exit;

/// Reads a model, whose names, shapes and encoder are checked by that; then looks for values that are not finite, in
/// the tensors and in a picture of each stage painted from a random embedding.
pub(super) fn verify(path: &Path, context: &Context) -> Result<Exit> {
    let (model, sha256) = load_model(path, &context.device)?;
    let tensors = tensors(&model)?;
    let mut bad = Vec::new();
    for (name, tensor) in &tensors {
        let n = values(tensor)?.iter().filter(|v| !v.is_finite()).count();
        if n > 0 {
            bad.push(format!("{name}: {n} of {} values are not finite", tensor.elem_count()));
        }
    }
    for stage in 1..=model.stages() {
        let net = &model.stage_info(stage).net;
        let text = Noise::new(0).normal(Stream::Test, 0, 0, net.text_dim);
        let text = Tensor::from_vec(text, (1, net.text_dim), &context.device)?;
        let zeros =
            |width: usize| Tensor::zeros((1, width), candle_core::DType::F32, &context.device);
        let noise = GeneratorNoise {
            z: zeros(net.z_dim)?,
            eps1: zeros(net.cond_dim)?,
            eps2: zeros(net.cond_dim)?,
        };
        let painted = model.generator(stage)?.paint(&text, &noise, Mode::Eval)?;
        if values(&painted.image)?.iter().any(|v| !v.is_finite()) {
            bad.push(format!("stage {stage}: its picture is not finite"));
        }
    }
    if bad.is_empty() {
        let stages = if model.stages() == 2 { "both stages paint" } else { "Stage-I paints" };
        print(format!("whole: {} tensors, all finite; {stages}; sha256 {sha256}", tensors.len()))?;
        return Ok(Exit::Done);
    }
    bad.iter().try_for_each(print)?;
    Ok(Exit::Gate)
}

/// Prints every tensor that is in one model only, of another shape, or of other values.
pub(super) fn diff(a: &Path, b: &Path, context: &Context) -> Result<Exit> {
    let (a, b) = (load_model(a, &context.device)?.0, load_model(b, &context.device)?.0);
    if a.info() != b.info() {
        print("what the files say of themselves differs: compare `stackgan model info --json`")?;
    }
    let (left, right) = (tensors(&a)?, tensors(&b)?);
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let mut differing = 0;
    for name in &names {
        let line = match (left.get(*name), right.get(*name)) {
            (Some(_), None) => "in the first only".to_owned(),
            (None, _) => "in the second only".to_owned(),
            (Some(a), Some(b)) if a.dims() != b.dims() => {
                format!("{:?} and {:?}", a.dims(), b.dims())
            }
            (Some(a), Some(b)) => {
                let (a, b) = (values(a)?, values(b)?);
                let pairs = || a.iter().zip(&b).filter(|(a, b)| a.to_bits() != b.to_bits());
                if pairs().next().is_none() {
                    continue;
                }
                let largest = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                format!("{} of {} values, by {largest:.3e} at most", pairs().count(), a.len())
            }
        };
        differing += 1;
        print(format!("{name}: {line}"))?;
    }
    print(format!("{differing} of {} tensors differ", names.len()))?;
    Ok(if differing == 0 && a.info() == b.info() { Exit::Done } else { Exit::Gate })
}

/// All tensors of a model by the names of its file.
fn tensors(model: &Model) -> Result<BTreeMap<String, Tensor>> {
    let mut all = model.encoder().map(|encoder| encoder.tensors()).transpose()?.unwrap_or_default();
    let stages = [("stage1", Some(model.stage1())), ("stage2", model.stage2())];
    for (stage, params) in stages.into_iter().filter_map(|(stage, p)| Some((stage, p?))) {
        all.extend(params.snapshot()?.into_iter().map(|(name, t)| (format!("{stage}.{name}"), t)));
    }
    Ok(all)
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}
