//! The `residual` recipe: the TensorFlow release, which made the paper's CUB and Oxford-102
//! results.
//!
//! Source: hanzhanggit/StackGAN, `stageI/model.py`, `stageII/model.py`, `misc/custom_ops.py`.
//! Tensor names are defined here, in the style of the PyTorch release.

mod discriminator;
mod stage1;
pub mod variables;

pub use discriminator::Discriminator;
pub use stage1::Stage1Generator;

use candle_core::Result;
use stackgan_kernels::{Activation, Maps, Statistics};

use crate::layers::{ConvNorm, RunningVariance, Style, Window};
use crate::params::{Init, Scope};

/// Truncated normal initialisation with 0.02 for convolutions, normal with 0.02 for linear layers,
/// biased running variance.
pub const STYLE: Style = Style {
    conv: Init::TruncatedNormal { std: 0.02 },
    linear: Init::Normal { mean: 0.0, std: 0.02 },
    running_variance: RunningVariance::Biased,
};

/// A bottleneck with a skip connection: 1x1 down to a quarter of the channels, 3x3, 3x3 back up.
/// Names `block.0 … block.7`.
#[derive(Clone, Debug)]
struct Bottleneck {
    narrow: ConvNorm,
    middle: ConvNorm,
    widen: ConvNorm,
    activation: Activation,
}

impl Bottleneck {
    fn new(channels: usize, activation: Activation, scope: Scope) -> Result<Self> {
        let block = scope.pp("block");
        let quarter = channels / 4;
        Ok(Self {
            narrow: ConvNorm::new(
                (channels, quarter),
                Window::Point,
                activation,
                STYLE,
                (&block, 0),
            )?,
            middle: ConvNorm::new(
                (quarter, quarter),
                Window::Three,
                activation,
                STYLE,
                (&block, 3),
            )?,
            widen: ConvNorm::new(
                (quarter, channels),
                Window::Three,
                Activation::Identity,
                STYLE,
                (&block, 6),
            )?,
            activation,
        })
    }

    fn forward(&self, x: &Maps, by: impl Into<Statistics>) -> Result<Maps> {
        let by = by.into();
        let inner = self.middle.forward(&self.narrow.forward(x, by)?, by)?;
        x.add_activate(&self.widen.forward(&inner, by)?, self.activation)
    }
}
