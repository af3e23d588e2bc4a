//! Generators of the PyTorch release as models, and back: the names and shapes of its state dicts, strictly.
//!
//! Source: `code/model.py`. Stage-I's generator has 28 tensors (counters aside), Stage-II's has all of Stage-I's under
//! `STAGE1_G.` besides its own (87 in all for the released COCO model). The names are those that the networks here use, so
//! reading is splitting by prefix; the sizes follow from the shapes.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::model::wrong;
use crate::text::{CharCnnRnnEncoder, TextEncoder as _};
use crate::{Error, Model, ModelInfo, NetConfig, Params, Recipe, Result, StageInfo};

/// Where a Stage-II generator keeps its Stage-I generator.
const STAGE1: &str = "STAGE1_G.";

/// What wrapping a network in `DataParallel` puts before every name, as StackGAN-v2 saved them.
const WRAPPED: &str = "module.";

/// How many batches a batch norm has seen: kept by torch since 0.4.1, used by nothing here.
const COUNTER: &str = "num_batches_tracked";

/// What a state dict does not say of itself.
#[derive(Debug)]
pub struct Provenance {
    /// The text encoder of its training embeddings, if it is at hand.
    pub encoder: Option<CharCnnRnnEncoder>,
    /// The name of the dataset that it was trained on.
    pub dataset: String,
}

/// A model of a generator's state dict: Stage-I's, or Stage-II's with the Stage-I generator in it.
///
/// The width of the discriminators is not in it and is taken as half that of the generators, as released. Sampling is with
/// full noise, as released.
///
/// # Errors
/// [`Error::Model`] for names or shapes that are not exactly those of such a generator, with the first of them; a
/// dict of StackGAN-v2 is told by its `module.` names.
pub fn from_state_dict(
    mut tensors: BTreeMap<String, Tensor>,
    from: Provenance,
    device: &Device,
) -> Result<Model> {
    tensors.retain(|name, _| !name.ends_with(COUNTER));
    if let Some(name) = tensors.keys().find(|name| name.starts_with(WRAPPED)) {
        return Err(not_a_generator(&format!(
            "`{name}`: names of a network in `DataParallel`, as StackGAN-v2 saved its own, other networks"
        )));
    }
    let (low, high): (BTreeMap<_, _>, BTreeMap<_, _>) =
        tensors.into_iter().partition(|(name, _)| name.starts_with(STAGE1));
    let (low, high) = if low.is_empty() {
        (high, None)
    } else {
        let bare = |(name, t): (String, Tensor)| (name.replacen(STAGE1, "", 1), t);
        (low.into_iter().map(bare).collect(), Some(high))
    };
    let sizes = |own: &BTreeMap<_, _>| sizes(&low, own);
    let stage = |net| StageInfo {
        net,
        truncated_epsilon: false,
        sample_z: 1.0,
        sample_eps: 1.0,
        dataset: from.dataset.clone(),
        dataset_fingerprint: String::new(),
        steps: 0,
        batch: 0,
        seed: 0,
        ema: 0.0,
    };
    let info = ModelInfo {
        format: Model::format().to_owned(),
        encoder: from.encoder.as_ref().map(|encoder| *encoder.config()),
        encoder_fingerprint: from.encoder.as_ref().map_or_else(String::new, |e| e.fingerprint()),
        stage1: stage(sizes(&low)?),
        stage2: high.as_ref().map(&sizes).transpose()?.map(stage),
    };
    let stage2 = high.map(|high| Params::given(high, device)).transpose()?;
    Model::new(info, from.encoder, Params::given(low, device)?, stage2, device)
}

/// The state dict of the model's last generator, which PyTorch's `load_state_dict` takes: counters are left out, as it allows.
///
/// # Errors
/// [`Error::Model`] for a model of the residual recipe, which has no release for PyTorch.
pub fn to_state_dict(model: &Model) -> Result<BTreeMap<String, Tensor>> {
    if model.info().stage1.net.recipe != Recipe::Plain {
        return Err(wrong(
            "only the plain recipe has a state dict of a release",
            "a model of the plain recipe",
            "one of the residual recipe",
        ));
    }
    let low = model.stage1().snapshot()?;
    let Some(high) = model.stage2() else { return Ok(low) };
    let mut all = high.snapshot()?;
    all.extend(low.into_iter().map(|(name, tensor)| (format!("{STAGE1}{name}"), tensor)));
    Ok(all)
}

/// The sizes of the networks, read off Stage-I's shapes and Stage-II's number of residual blocks.
fn sizes(low: &BTreeMap<String, Tensor>, own: &BTreeMap<String, Tensor>) -> Result<NetConfig> {
    let matrix = |name: &str| match low.get(name).map(Tensor::dims) {
        Some(&[rows, columns]) => Ok((rows, columns)),
        Some(dims) => Err(not_a_generator(&format!("tensor `{name}` of shape {dims:?}"))),
        None => Err(not_a_generator(&format!("no tensor `{name}`"))),
    };
    let (twice_cond, text_dim) = matrix("ca_net.fc.weight")?;
    let (units, inputs) = matrix("fc.0.weight")?;
    let (cond_dim, gf) = (twice_cond / 2, units / (16 * 8));
    let block = |name: &String| {
        name.strip_prefix("residual.")
            .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok())
    };
    let net = NetConfig {
        recipe: Recipe::Plain,
        gf,
        df: (gf / 2).max(1),
        text_dim,
        cond_dim,
        z_dim: inputs.saturating_sub(cond_dim),
        residual_blocks: own
            .keys()
            .filter_map(block)
            .max()
            .map_or(1, |last| last.saturating_add(1)),
        channel_floor: 0,
    };
    net.check().map_err(|e| not_a_generator(&format!("sizes that no such network has: {e}")))?;
    Ok(net)
}

fn not_a_generator(found: &str) -> Error {
    Error::Model {
        what: "not a generator of the PyTorch release".to_owned(),
        expected: "the tensors of STAGE1_G or STAGE2_G, such as `ca_net.fc.weight`".to_owned(),
        found: found.to_owned(),
        remedy: "give netG_*.pth of StackGAN's PyTorch release; other networks cannot be read"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::gan::Stage1Statistics;
    use crate::noise::Noise;
    use crate::plain::{Stage1Generator, Stage2Generator};

    fn net() -> NetConfig {
        NetConfig {
            recipe: Recipe::Plain,
            gf: 4,
            df: 2,
            text_dim: 16,
            cond_dim: 8,
            z_dim: 6,
            residual_blocks: 2,
            channel_floor: 0,
        }
    }

    /// A state dict as torch would write it, with counters.
    fn state_dict() -> BTreeMap<String, Tensor> {
        let (noise, cpu) = (Noise::new(3), Device::Cpu);
        let (low, high) = (Params::fresh(noise, "g1", &cpu), Params::fresh(noise, "g2", &cpu));
        let stage1 = Stage1Generator::new(&net(), &low.frozen()).unwrap();
        Stage2Generator::new(&net(), stage1, Stage1Statistics::Running, &high.frozen()).unwrap();
        let mut all = high.snapshot().unwrap();
        for (name, tensor) in low.snapshot().unwrap() {
            all.insert(format!("{STAGE1}{name}"), tensor);
        }
        all.insert(
            "STAGE1_G.fc.1.num_batches_tracked".to_owned(),
            Tensor::new(7f32, &cpu).unwrap(),
        );
        all
    }

    fn import(tensors: BTreeMap<String, Tensor>) -> Result<Model> {
        let from = Provenance { encoder: None, dataset: "coco".to_owned() };
        from_state_dict(tensors, from, &Device::Cpu)
    }

    #[test]
    fn a_state_dict_comes_back_as_it_was() {
        let mut tensors = state_dict();
        let model = import(tensors.clone()).unwrap();
        assert_eq!(model.info().stage2.as_ref().unwrap().net, net());
        tensors.retain(|name, _| !name.ends_with(COUNTER));
        let back = to_state_dict(&model).unwrap();
        assert_eq!(tensors.len(), 87); // FACTS of the release: two residual blocks
        assert!(back.keys().eq(tensors.keys()));
        for (name, tensor) in &tensors {
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(tensor), values(&back[name]), "{name}");
        }
    }

    #[test]
    fn every_missing_tensor_extra_tensor_and_other_shape_is_refused() {
        for name in state_dict().keys().filter(|name| !name.ends_with(COUNTER)) {
            let mut tensors = state_dict();
            let tensor = tensors.remove(name).unwrap();
            let Err(Error::Model { found, .. }) = import(tensors.clone()).map(|_| ()) else {
                panic!("taken without `{name}`");
            };
            let bare = name.trim_start_matches(STAGE1);
            let what = found.to_string();
            let prefix = bare.split('.').next().unwrap();
            assert!(what.contains(prefix), "{name}: {what}");
            tensors.insert(name.clone(), Tensor::stack(&[&tensor, &tensor], 0).unwrap());
            assert!(import(tensors.clone()).is_err(), "taken with another shape of `{name}`");
            tensors.insert(name.clone(), tensor.clone());
            tensors.insert(format!("{name}.extra"), tensor);
            assert!(import(tensors).is_err(), "taken with a tensor beside `{name}`");
        }
    }

    #[test]
    fn names_of_the_second_version_are_told() {
        let tensors = state_dict().into_iter().map(|(n, t)| (format!("module.{n}"), t)).collect();
        let error = import(tensors).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("module.") && error.contains("StackGAN-v2"), "{error}");
    }
}
