//! The measuring networks: imported by `stackgan model import`, found by `--features`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use stackgan_core::shapes;
use stackgan_data::formats::tensorflow::Checkpoint;
use stackgan_data::formats::{MAX_FILE, read_bounded};
use stackgan_eval::comparison::Measurer;
use stackgan_eval::features::{Extractor, Network};

use crate::exit::Problem;
use crate::networks::{self, Named, is_kept, kept, missing};
use crate::output::{Written, quoted};
use crate::weights;

/// Number of pictures per pass of a network.
pub(crate) const BATCH: usize = 16;

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
    let kept = networks::keep(network, tensors, hash)?;
    Ok(Written::of([&*kept]))
}

/// The network called `named`; without a name, the best imported one.
///
/// # Errors
/// Code 4 with the commands that import one, 2 for an unknown name.
pub(crate) fn find(named: Option<&str>) -> Result<Measurer> {
    let Some(named) = named else {
        let best = [Network::InceptionFid, Network::EfficientNetLite0];
        return match best.into_iter().find(|network| is_kept(*network)) {
            Some(network) => open(&kept(network), Some(network)),
            None => Err(missing(Network::InceptionFid).into()),
        };
    };
    match networks::named(Path::new(named))? {
        Named::File(file) => open(&file, None),
        Named::Imported(network, file) => open(&file, Some(network)),
        Named::Unknown => {
            let parts =
                (format!("a file, or one of {}", names()), format!("`{}`", named.escape_debug()));
            let remedy = "check the name or the path";
            Err(Problem::usage("no such network", "option: --features", parts, remedy).into())
        }
    }
}

/// The names of all networks.
fn names() -> String {
    Network::ALL.map(Network::name).join(", ")
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
    let bytes = read_bounded(file, MAX_FILE)?;
    let hash = networks::source(&bytes);
    let tensors = weights::read(&bytes, file, weights::FEATURES, &Device::Cpu)?;
    let found = network.or_else(|| Network::of_shapes(&shapes::of(&tensors))).ok_or_else(|| {
        let parts = (format!("the weights of {}", names()), "others");
        Problem::data("no network to measure with", file, parts, "check the path")
    })?;
    let extractor = Extractor::new(found, &tensors)
        .with_context(|| format!("cannot use the weights\n  file: {}", file.display()))?;
    Ok(Measurer::new(extractor, &hash))
}
