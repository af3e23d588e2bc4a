//! Conversion between generators of the PyTorch release and models, with strict checks of the names
//! and shapes of its state dicts.
//!
//! Source: `code/model.py`. Stage-I's generator has 28 tensors (counters aside). Stage-II's has all
//! of Stage-I's under `STAGE1_G.` in addition to its own (87 in all for the released COCO model).
//! The networks here use the same names, so reading only splits them by prefix. The sizes follow
//! from two shapes, and all other shapes follow from the sizes.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::layout::{STAGE1, generator, stage1_prefix};
use crate::archive::{prefixed, under};
use crate::shapes::{self, differences, first_names, listed, shown, wrong_sizes};
use crate::text::CharCnnRnnEncoder;
use crate::{Error, Model, NetConfig, Parts, Recipe, Result, Stage, StagePart, TextPart};

pub use crate::shapes::Shapes;

/// The prefix that `DataParallel` adds to every name, as in files saved by StackGAN-v2.
const WRAPPED: &str = "module.";

/// The suffix of the counter of batches that a batch norm has seen. torch stores it since 0.4.1; it
/// is not used here.
const COUNTER: &str = "num_batches_tracked";

/// Returns the sizes of the generator whose state dict has exactly these names and shapes: of
/// Stage-I, and of Stage-II if it is a Stage-II generator.
///
/// Call this before reading the values, because a small file may declare huge tensors.
///
/// The width of the discriminators is not in the state dict. It is taken as half that of the
/// generators, as released.
///
/// # Errors
/// [`Error::Model`] with the first five names or shapes that differ from those of such a generator.
/// A network wrapped in `DataParallel` is recognised by its `module.` names.
pub fn sizes(shapes: &Shapes) -> Result<(NetConfig, Option<NetConfig>)> {
    let found: Shapes = shapes
        .iter()
        .filter(|(name, _)| !name.ends_with(COUNTER))
        .map(|(name, shape)| (name.clone(), shape.clone()))
        .collect();
    if let Some(name) = found.keys().find(|name| name.starts_with(WRAPPED)) {
        let bare = under(WRAPPED, &found);
        let fits = bare.len() == found.len() && sizes_of(&bare).is_ok();
        return Err(not_a_generator(&format!(
            "`{}`: names of a network in `DataParallel`, {}",
            shown(name),
            if fits {
                "which is such a generator; save `netG.module.state_dict()` instead"
            } else {
                "as StackGAN-v2 saved its own, other networks"
            }
        )));
    }
    sizes_of(&found)
}

/// As [`sizes`], of names without `DataParallel`'s prefix and without counters.
fn sizes_of(found: &Shapes) -> Result<(NetConfig, Option<NetConfig>)> {
    let two = found.keys().any(|name| name.starts_with(STAGE1));
    let stage = if two { Stage::Two } else { Stage::One };
    let net = guess(found, stage1_prefix(stage))?;
    let expected = generator(&net, stage);
    let mut differences = differences(&expected, found);
    let beside = found.keys().filter(|name| !expected.contains_key(*name));
    differences.extend(beside.map(|name| format!("`{}` beside them", shown(name))));
    if differences.is_empty() {
        return Ok((NetConfig { residual_blocks: 1, ..net }, two.then_some(net)));
    }
    Err(not_a_generator(&listed(differences)))
}

/// Creates a model from a generator's state dict: a Stage-I generator, or a Stage-II generator
/// including its Stage-I generator.
///
/// The state dict does not contain the text `encoder` of the training embeddings, if that is at
/// hand, nor the name of the `dataset`. Sampling uses full noise, as released.
///
/// # Errors
/// [`Error::Model`] for names or shapes that are not exactly those of such a generator; see
/// [`sizes`].
pub fn from_state_dict(
    mut tensors: BTreeMap<String, Tensor>,
    encoder: Option<CharCnnRnnEncoder>,
    dataset: &str,
    device: &Device,
) -> Result<Model> {
    let (low_net, high_net) = sizes(&shapes::of(&tensors))?;
    tensors.retain(|name, _| !name.ends_with(COUNTER));
    let (mut low, mut high) = (BTreeMap::new(), BTreeMap::new());
    for (name, tensor) in tensors {
        match name.strip_prefix(STAGE1) {
            Some(bare) => low.insert(bare.to_owned(), tensor),
            None => high.insert(name, tensor),
        };
    }
    if high_net.is_none() {
        std::mem::swap(&mut low, &mut high);
    }
    let part = |net, tensors| StagePart::imported(net, tensors, dataset, device);
    let (stage1, stage2) = (part(low_net, low)?, high_net.map(|net| part(net, high)).transpose()?);
    let text = encoder.map_or_else(TextPart::unknown, TextPart::Inside);
    Model::new(Parts { text, stage1, stage2 })
}

/// Returns the state dict of the model's last generator, for PyTorch's `load_state_dict`. Counters
/// are omitted, which that function allows.
///
/// # Errors
/// [`Error::Model`] for a model of the residual recipe, which has no PyTorch release.
pub fn to_state_dict(model: &Model) -> Result<BTreeMap<String, Tensor>> {
    if model.info().stage1.net.recipe != Recipe::Plain {
        return Err(Error::Model {
            what: "only the plain recipe has a state dict of a release".to_owned(),
            expected: "a model of the plain recipe".to_owned(),
            found: "one of the residual recipe".to_owned(),
            remedy: "take a model of the plain recipe, or keep this one as it is".to_owned(),
        });
    }
    let low = model.stage1().snapshot()?;
    let all = match model.stage2() {
        None => low,
        Some(high) => high.snapshot()?.into_iter().chain(prefixed(STAGE1, low)).collect(),
    };
    // The release has one width for both stages, and no lower bound of it; see also `guess`.
    if let Err(error) = sizes(&shapes::of(&all)) {
        let Error::Model { expected, found, .. } = error else { return Err(error) };
        return Err(Error::Model {
            what: "the release has no generator of the sizes of this model".to_owned(),
            expected,
            found,
            remedy: "train with `net.channel_floor` 0, a residual block or more and the same \
                     `net.gf` in both stages, or keep this model as it is"
                .to_owned(),
        });
    }
    Ok(all)
}

/// Derives the sizes from the shapes of Stage-I and the number of residual blocks.
fn guess(found: &Shapes, stage1: &str) -> Result<NetConfig> {
    let matrix = |name: &str| {
        let name = format!("{stage1}{name}");
        match found.get(&name).map(Vec::as_slice) {
            Some(&[rows, columns]) => Ok((rows, columns)),
            Some(shape) => Err(not_a_generator(&format!("`{name}` of shape {shape:?}"))),
            None => Err(not_a_generator(&format!("no `{name}`, but {}", first_names(found)))),
        }
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
        // Never none: those of Stage-II may have been lost, and Stage-I's sizes name one.
        residual_blocks: found
            .keys()
            .filter_map(block)
            .max()
            .map_or(1, |last| last.saturating_add(1)),
        channel_floor: 0,
    };
    net.check().map_err(|e| not_a_generator(&wrong_sizes(&e)))?;
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
    use crate::Params;
    use crate::generator::Stage1Statistics;
    use crate::generators::{self, Low};
    use crate::noise::Noise;

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

    /// A state dict as torch writes it, with counters.
    fn state_dict() -> BTreeMap<String, Tensor> {
        let (noise, cpu) = (Noise::new(3), Device::Cpu);
        let (low, high) = (Params::fresh(noise, "g1", &cpu), Params::fresh(noise, "g2", &cpu));
        let (scope, statistics) = (low.frozen(), Stage1Statistics::Running);
        let below = Low { net: &net(), scope: &scope, statistics };
        generators::stage2(&net(), &below, &high.frozen()).unwrap();
        let mut all = high.snapshot().unwrap();
        all.extend(prefixed(STAGE1, low.snapshot().unwrap()));
        all.insert(
            "STAGE1_G.fc.1.num_batches_tracked".to_owned(),
            Tensor::new(7f32, &cpu).unwrap(),
        );
        all
    }

    fn import(tensors: BTreeMap<String, Tensor>) -> Result<Model> {
        from_state_dict(tensors, None, "coco", &Device::Cpu)
    }

    #[test]
    fn a_state_dict_comes_back_as_it_was() {
        let mut tensors = state_dict();
        let model = import(tensors.clone()).unwrap();
        assert_eq!(model.info().stage2.as_ref().unwrap().net, net());
        tensors.retain(|name, _| !name.ends_with(COUNTER));
        let back = to_state_dict(&model).unwrap();
        // As in the released COCO generator, which has two residual blocks.
        assert_eq!(tensors.len(), 87);
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

    /// What training allows and the release does not have.
    #[test]
    fn other_sizes_than_the_release_has_are_not_written() {
        let model = |low: NetConfig, high: NetConfig| {
            let cpu = Device::Cpu;
            let (a, b) = (
                Params::fresh(Noise::new(3), "g1", &cpu),
                Params::fresh(Noise::new(3), "g2", &cpu),
            );
            let (scope, statistics) = (a.frozen(), Stage1Statistics::Running);
            generators::stage2(&high, &Low { net: &low, scope: &scope, statistics }, &b.frozen())
                .unwrap();
            let part = |net, params: &Params| {
                StagePart::imported(net, params.snapshot().unwrap(), "own", &cpu).unwrap()
            };
            let (stage1, stage2) = (part(low, &a), Some(part(high, &b)));
            Model::new(Parts { text: TextPart::unknown(), stage1, stage2 }).unwrap()
        };
        assert!(to_state_dict(&model(net(), net())).is_ok());
        let bare = NetConfig { residual_blocks: 0, ..net() };
        let (floor, wide) =
            (NetConfig { channel_floor: 16, ..net() }, NetConfig { gf: 8, ..net() });
        for (low, high) in [(bare, bare), (floor, floor), (net(), wide)] {
            let error = to_state_dict(&model(low, high)).unwrap_err().to_string();
            assert!(error.contains("the release has no generator of the sizes"), "{error}");
        }
    }

    #[test]
    fn wrapped_names_are_told() {
        let wrapped = |tensors: BTreeMap<String, Tensor>| {
            let tensors = tensors.into_iter().map(|(n, t)| (format!("module.{n}"), t)).collect();
            import(tensors).map(|_| ()).unwrap_err().to_string()
        };
        let error = wrapped(state_dict());
        assert!(
            error.contains("`module.") && error.contains("netG.module.state_dict()"),
            "{error}"
        );
        let mut other = state_dict();
        other.remove("img.0.weight");
        let error = wrapped(other);
        assert!(error.contains("`module.") && error.contains("StackGAN-v2"), "{error}");
    }

    /// A file of 35 kB can hold such a name.
    #[test]
    fn a_name_that_is_wrapped_thousands_of_times_is_refused() {
        let shapes = [(format!("{}x", WRAPPED.repeat(5_000)), vec![1])];
        let error = sizes(&shapes.into()).unwrap_err().to_string();
        assert!(error.contains("StackGAN-v2"), "{error}");
    }

    #[test]
    fn the_first_five_differences_are_listed() {
        let mut tensors = state_dict();
        for name in ["encoder.3.bias", "encoder.3.weight", "img.0.weight"] {
            tensors.remove(name);
        }
        for name in ["a", "b", "c"] {
            tensors.insert(name.to_owned(), Tensor::new(0f32, &Device::Cpu).unwrap());
        }
        tensors.insert("hr_joint.1.bias".to_owned(), Tensor::new(&[0f32], &Device::Cpu).unwrap());
        let Err(Error::Model { found, .. }) = import(tensors).map(|_| ()) else { panic!("taken") };
        assert_eq!(
            found,
            "no `encoder.3.bias`, no `encoder.3.weight`, `hr_joint.1.bias` [1] instead of [16], \
             no `img.0.weight`, `a` beside them and 2 more"
        );
    }

    #[test]
    fn another_network_is_told_by_its_first_names() {
        let tensor = Tensor::new(0f32, &Device::Cpu).unwrap();
        let names = ["encode_img.0.weight", "encode_img.2.weight", "encode_img.3.bias", "x", "y"];
        let tensors = names.map(|name| (name.to_owned(), tensor.clone()));
        let error = import(tensors.into()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("no `ca_net.fc.weight`, but `encode_img.0.weight`"), "{error}");
        assert!(error.contains("and 2 others"), "{error}");
        assert!(import(BTreeMap::new()).map(|_| ()).unwrap_err().to_string().contains("nothing"));
    }
}
