//! Inception-v3 in the three forms that published measurements use. Tensor names are torchvision's,
//! as in all published files for PyTorch.
//!
//! | form | classes | average pool of the blocks | pool of the last block |
//! |---|---|---|---|
//! | [`Form::Fid`] | 1008 | leaves the padding out | maximum |
//! | [`Form::Torchvision`] | 1000 | counts the padding as zeros | average |
//! | [`Form::Slim`] | background, and 50 birds or 20 flowers | leaves the padding out | average |
//!
//! Sources: Szegedy et al. (2015); pytorch-fid, `inception.py`, for the graph of 2015-12-05;
//! torchvision, `inception.py`; StackGAN-inception-model and TF-Slim, `inception_v3.py`, for the
//! authors' own form. The epsilon of every batch norm is 0.001.

mod blocks;
mod layers;
pub mod slim;

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use stackgan_kernels::{Maps, Pool, linear};

use super::folded::Weights;
use crate::Result;
use blocks::Mixed;
use layers::{ConvNorm, Place};

/// Number of features per picture.
pub const WIDTH: usize = 2048;

/// One of the published networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The graph of 2015-12-05, by which FID and the inception score are defined.
    Fid,
    /// torchvision's network, with which `AttnGAN` and its successors measured their FIDs.
    Torchvision,
    /// TF-Slim's network, fine-tuned on birds or flowers by the authors of `StackGAN` for their
    /// inception scores.
    Slim,
}

impl Form {
    const fn name(self) -> &'static str {
        match self {
            Self::Fid => "the Inception network of 2015-12-05",
            Self::Torchvision => "torchvision's Inception-v3",
            Self::Slim => "StackGAN's Inception-v3",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Fid => {
                "use pt_inception-2015-12-05-6726825d.pth of github.com/mseitzer/pytorch-fid"
            }
            Self::Torchvision => {
                "use inception_v3_google-0cc3c7bd.pth of download.pytorch.org/models"
            }
            Self::Slim => "`stackgan model import` the authors' checkpoint again",
        }
    }

    /// Returns the number of classes to expect if the file has no matrix `fc.weight`.
    const fn classes(self) -> usize {
        match self {
            Self::Fid => 1008,
            Self::Torchvision => 1000,
            Self::Slim => 51,
        }
    }
}

/// The network.
#[derive(Clone, Debug)]
pub struct Inception {
    stem: Vec<ConvNorm>,          // five, with pooling after the third and the fifth
    blocks: Vec<Mixed>,           // 5b to 7c
    fc: (Tensor, Option<Tensor>), // (classes, 2048), (classes)
}

/// The output of the network.
#[derive(Clone, Debug)]
pub struct Output {
    /// `(batch, width)`: the mean of the last map.
    pub features: Tensor,
    /// `(batch, classes)`, before the softmax.
    pub logits: Tensor,
}

impl Inception {
    /// Builds the network from the tensors of a state dict. Ignores an auxiliary head and batch
    /// counters.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] names a tensor that is missing or has another shape.
    pub fn new(form: Form, tensors: &BTreeMap<String, Tensor>) -> Result<Self> {
        let (network, remedy) = (form.name(), form.remedy());
        let weights = Weights { tensors, device: &Device::Cpu, network, remedy };
        let at = |name| Place { weights, name };
        let conv = |name, channels, kernel, stride, padding| {
            ConvNorm::new(at(name), channels, (kernel, kernel), stride, (padding, padding))
        };
        let stem = vec![
            conv("Conv2d_1a_3x3", (3, 32), 3, 2, 0)?,
            conv("Conv2d_2a_3x3", (32, 32), 3, 1, 0)?,
            conv("Conv2d_2b_3x3", (32, 64), 3, 1, 1)?,
            conv("Conv2d_3b_1x1", (64, 80), 1, 1, 0)?,
            conv("Conv2d_4a_3x3", (80, 192), 3, 1, 0)?,
        ];
        let (pool, last) = match form {
            Form::Fid => (Pool::AverageInside, Pool::Largest),
            Form::Torchvision => (Pool::AveragePadded, Pool::AveragePadded),
            Form::Slim => (Pool::AverageInside, Pool::AverageInside),
        };
        let blocks = vec![
            Mixed::a(at("Mixed_5b"), 192, 32, pool)?,
            Mixed::a(at("Mixed_5c"), 256, 64, pool)?,
            Mixed::a(at("Mixed_5d"), 288, 64, pool)?,
            Mixed::b(at("Mixed_6a"), 288)?,
            Mixed::c(at("Mixed_6b"), 768, 128, pool)?,
            Mixed::c(at("Mixed_6c"), 768, 160, pool)?,
            Mixed::c(at("Mixed_6d"), 768, 160, pool)?,
            Mixed::c(at("Mixed_6e"), 768, 192, pool)?,
            Mixed::d(at("Mixed_7a"), 768)?,
            Mixed::e(at("Mixed_7b"), 1280, pool)?,
            Mixed::e(at("Mixed_7c"), 2048, last)?,
        ];
        let classes = match tensors.get("fc.weight").map(Tensor::dims) {
            Some(&[classes, _]) => classes,
            _ => form.classes(),
        };
        let weight = weights.get("fc.weight", &[classes, WIDTH])?;
        let bias = weights.get("fc.bias", &[classes])?;
        Ok(Self { stem, blocks, fc: head(form, (weight, bias))? })
    }

    /// Returns the number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.fc.0.dims().first().copied().unwrap_or_default()
    }

    /// Maps pictures `(batch, 3, 299, 299)` in about [-1, 1] to features `(batch, 2048)` and
    /// logits. The sides can have any size of at least 75 pixels.
    ///
    /// # Errors
    /// If the shapes do not match.
    pub fn forward(&self, pictures: &Tensor) -> Result<Output> {
        let mut x = Maps::enter(pictures)?;
        for (i, conv) in self.stem.iter().enumerate() {
            x = conv.forward(&x)?;
            if i == 2 || i == 4 {
                x = x.pool(Pool::Halve)?;
            }
        }
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let features = x.leave()?.flatten_from(2)?.mean(2)?;
        let logits = linear(&features, &self.fc.0, self.fc.1.as_ref())?;
        Ok(Output { features, logits })
    }
}

/// Returns the weights and the bias of the classes whose probabilities are scored.
///
/// - `Fid`: the graph of the inception score multiplies by the weights and omits the bias
///   (openai/improved-gan).
/// - `Slim`: the first of 51 or 21 logits is the background class, which is dropped before the
///   softmax (StackGAN-inception-model).
fn head(form: Form, (weight, bias): (Tensor, Tensor)) -> Result<(Tensor, Option<Tensor>)> {
    let classes = weight.dim(0)?;
    Ok(match form {
        Form::Fid => (weight, None),
        Form::Slim if matches!(classes, 51 | 21) => (
            weight.narrow(0, 1, classes - 1)?.contiguous()?,
            Some(bias.narrow(0, 1, classes - 1)?.contiguous()?),
        ),
        Form::Torchvision | Form::Slim => (weight, Some(bias)),
    })
}
