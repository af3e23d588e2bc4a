//! The named tensors of a file of weights in any container: PyTorch's two, a table of Torch 7, or
//! safetensors. The container is recognised by the beginning of the file, not by its name, and so is
//! what was given in place of one of our own files.

mod container;
mod foreign;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use candle_core::{DType, Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::shapes::{self, Shapes};
use stackgan_core::{plain, text};
use stackgan_data::formats::torch7::{self, Document};
use stackgan_data::formats::{ArrayView, torch_pickle};
use stackgan_eval::features::Network;

use crate::exit::Problem;
use container::Container;

pub(crate) use foreign::{Expected, NO_IMAGE_SIDE, foreign, of_tensorflow};

/// Tensors of a `.t7`, by the names of a state dict.
type Named<'d> = Vec<(String, ArrayView<'d>)>;

/// The kind of weights that a file is expected to hold.
#[derive(Clone, Copy)]
pub(crate) struct Weights {
    /// Checks names and shapes.
    judge: fn(&Shapes) -> stackgan_core::Result<()>,
    /// Finds the tensors in a `.t7`.
    torch7: for<'d> fn(&'d Document<'_>) -> stackgan_data::Result<Named<'d>>,
}

/// The weights of any feature network, which checks its tensors itself.
pub(crate) const FEATURES: Weights =
    Weights { judge: |_| Ok(()), torch7: |document| document.table()?.named_tensors() };

/// The weights of a generator or of a feature network.
pub(crate) const MODEL: Weights = Weights {
    judge: |shapes| match Network::of_shapes(shapes) {
        Some(_) => Ok(()),
        None => plain::state_dict::sizes(shapes).map(drop),
    },
    ..FEATURES
};

/// The weights of a char-CNN-RNN.
pub(crate) const TEXT_ENCODER: Weights = Weights {
    judge: |shapes| text::state_dict::sizes(shapes).map(drop),
    torch7: torch7::char_cnn_rnn,
};

/// Reads a state dict. Names and shapes are checked before any value is copied.
pub(crate) fn read(
    bytes: &[u8],
    file: &Path,
    weights: Weights,
    device: &Device,
) -> Result<BTreeMap<String, Tensor>> {
    let tensors = tensors((bytes, file), weights, device)?;
    for (name, tensor) in &tensors {
        // A product of zero with NaN or infinity is NaN.
        if tensor.dtype().is_float()
            && tensor.affine(0.0, 0.0)?.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()? != 0.0
        {
            let found = format!("NaN or an infinity in `{}`", name.escape_debug());
            let remedy = "nothing could be painted with them: take weights of an earlier epoch";
            let parts = ("finite numbers", found);
            return Err(Problem::data("weights are no numbers", file, parts, remedy).into());
        }
    }
    Ok(tensors)
}

fn tensors(
    (bytes, file): (&[u8], &Path),
    weights: Weights,
    device: &Device,
) -> Result<BTreeMap<String, Tensor>> {
    let cannot = || format!("cannot import\n  file: {}", file.display());
    match Container::of(bytes) {
        Container::Torch7 => {
            let document = torch7::decode(bytes, file)?;
            numbers(&(weights.torch7)(&document)?, weights, (bytes.len(), file), device)
        }
        Container::Safetensors => {
            let tensors = Archive::from_bytes(bytes, device).with_context(cannot)?.tensors;
            (weights.judge)(&shapes::of(&tensors)).with_context(cannot)?;
            Ok(tensors)
        }
        _ => {
            let views = torch_pickle::decode(bytes, file)?; // says what it is, if it is not PyTorch's
            let views: Vec<_> = views.into_iter().map(|named| (named.name, named.array)).collect();
            numbers(&views, weights, (bytes.len(), file), device)
        }
    }
}

/// Copies the values of views into a file of `length` bytes, once their names and shapes have been
/// checked.
fn numbers(
    views: &[(String, ArrayView<'_>)],
    weights: Weights,
    (length, file): (usize, &Path),
    device: &Device,
) -> Result<BTreeMap<String, Tensor>> {
    let mut shapes = Shapes::new();
    for (name, view) in views {
        if shapes.insert(name.clone(), view.shape().to_vec()).is_some() {
            let found = format!("two named `{}`", name.escape_debug());
            let remedy = "save one state dict: torch.save(net.state_dict(), file)";
            let parts = ("tensors of different names", found);
            return Err(Problem::data("not a state dict", file, parts, remedy).into());
        }
    }
    (weights.judge)(&shapes)
        .with_context(|| format!("cannot import\n  file: {}", file.display()))?;
    // Tensors may overlap in a file. Those of a legitimate half-precision file take twice its size.
    let size: usize = views.iter().map(|(_, view)| view.len().saturating_mul(4)).sum();
    if size > length.saturating_mul(2).saturating_add(16 << 20) {
        let parts = (format!("about {length} bytes of numbers"), format!("{size} bytes"));
        let remedy = "check that this is the right file, from a source that you trust";
        return Err(Problem::data("tensors share their numbers", file, parts, remedy).into());
    }
    let tensor = |(name, view): &(String, ArrayView<'_>)| {
        Ok((name.clone(), Tensor::from_vec(view.to_f32(), view.shape().to_vec(), device)?))
    };
    views.iter().map(tensor).collect()
}
