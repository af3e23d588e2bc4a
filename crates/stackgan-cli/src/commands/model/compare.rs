//! `stackgan model verify | diff`: checks a model, or compares two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use candle_core::Tensor;
use serde::Serialize;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{GeneratorNoise, Mode, Model, Stage};

use crate::context::Context;
use crate::exit::Exit;
use crate::models::{Loaded, load};
use crate::output::{Answer, Form, path_text};

/// Reads a model, which checks its names, shapes and encoder. Then looks for non-finite values in
/// the tensors, and in a picture of each stage painted from a random embedding.
pub(super) fn verify(path: &Path, form: Form, context: &Context) -> Result<Exit> {
    let Loaded { model, sha256, file, .. } = load(path, context)?;
    let tensors = tensors(&model)?;
    let mut bad = Vec::new();
    for (name, tensor) in &tensors {
        let n = values(tensor)?.iter().filter(|v| !v.is_finite()).count();
        if n > 0 {
            bad.push(format!("{name}: {n} of {} values are not finite", tensor.elem_count()));
        }
    }
    for stage in model.stages() {
        let net = &model.stage_info(stage)?.net;
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
    let verified = Verified {
        file: path_text(&file),
        sha256,
        whole: bad.is_empty(),
        problems: bad,
        tensors: tensors.len(),
        stages: model.last_stage(),
    };
    form.show(&verified)?;
    Ok(if verified.whole { Exit::Done } else { Exit::Gate })
}

/// What was found in a model.
#[derive(Serialize)]
struct Verified {
    file: String,
    sha256: String,
    whole: bool,
    problems: Vec<String>,
    /// Number of tensors.
    tensors: usize,
    /// The last stage.
    stages: Stage,
}

impl Answer for Verified {
    fn lines(&self) -> Vec<String> {
        if !self.whole {
            return self.problems.clone();
        }
        let (tensors, sha256) = (self.tensors, &self.sha256);
        let stages = match self.stages {
            Stage::One => "Stage-I paints",
            Stage::Two => "both stages paint",
        };
        vec![format!("whole: {tensors} tensors, all finite; {stages}; sha256 {sha256}")]
    }
}

/// Shows every tensor that is only in one model, or differs in shape or values.
pub(super) fn diff(a: &Path, b: &Path, form: Form, context: &Context) -> Result<Exit> {
    let (a, b) = (load(a, context)?.model, load(b, context)?.model);
    let (left, right) = (tensors(&a)?, tensors(&b)?);
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let mut differing = Vec::new();
    for name in &names {
        let how = match (left.get(*name), right.get(*name)) {
            (Some(_), None) => Some("in the first only".to_owned()),
            (None, _) => Some("in the second only".to_owned()),
            (Some(a), Some(b)) if a.dims() != b.dims() => {
                Some(format!("{:?} and {:?}", a.dims(), b.dims()))
            }
            (Some(a), Some(b)) => difference(&values(a)?, &values(b)?),
        };
        differing.extend(how.map(|how| Difference { tensor: (*name).clone(), how }));
    }
    let same_facts = a.info() == b.info();
    let equal = differing.is_empty() && same_facts;
    form.show(&Compared { equal, same_facts, tensors: names.len(), differing })?;
    Ok(if equal { Exit::Done } else { Exit::Gate })
}

/// How two models differ.
#[derive(Serialize)]
struct Compared {
    equal: bool,
    /// Whether both files say the same of themselves.
    same_facts: bool,
    /// Number of tensors in either.
    tensors: usize,
    differing: Vec<Difference>,
}

/// How two tensors of one name differ.
#[derive(Serialize)]
struct Difference {
    tensor: String,
    how: String,
}

impl Answer for Compared {
    fn lines(&self) -> Vec<String> {
        let facts =
            "what the files say of themselves differs: compare `stackgan model info --json`";
        let facts = (!self.same_facts).then(|| facts.to_owned());
        let tensors = self.differing.iter().map(|d| format!("{}: {}", d.tensor, d.how));
        let count = format!("{} of {} tensors differ", self.differing.len(), self.tensors);
        facts.into_iter().chain(tensors).chain([count]).collect()
    }
}

/// The number of values of two tensors of equal shape that differ in their bits, and the largest
/// difference; `None` if none differs.
fn difference(a: &[f32], b: &[f32]) -> Option<String> {
    let pairs = || a.iter().zip(b).filter(|(a, b)| a.to_bits() != b.to_bits());
    pairs().next()?;
    let finite = pairs().map(|(a, b)| (a - b).abs()).filter(|by| by.is_finite());
    let largest = finite.fold(0.0, f32::max);
    let wild = pairs().filter(|(a, b)| !(*a - *b).is_finite()).count();
    let wild = if wild > 0 { format!(", {wild} of them not finite") } else { String::new() };
    Some(format!("{} of {} values, by {largest:.3e} at most{wild}", pairs().count(), a.len()))
}

/// All tensors of a model, with the names in its file.
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

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn values_that_are_no_numbers_are_not_called_near() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.0]), None);
        assert_eq!(difference(&[f32::NAN], &[f32::NAN]), None);
        assert_eq!(
            difference(&[1.0, 2.0, 3.0], &[1.5, 2.0, f32::NAN]).as_deref(),
            Some("2 of 3 values, by 5.000e-1 at most, 1 of them not finite")
        );
    }
}
