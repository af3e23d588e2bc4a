//! The `plain` recipe: the PyTorch release, whose only published model is for COCO.
//!
//! Source: hanzhanggit/StackGAN-Pytorch, `code/model.py`. Tensor names are those of its state
//! dicts.

mod discriminator;
mod layout;
mod stage1;
pub mod state_dict;

pub use discriminator::Discriminator;
pub use stage1::Stage1Generator;

use crate::layers::{RunningVariance, Style};
use crate::params::Init;

/// Normal initialisation with 0.02 for every weight, unbiased running variance.
pub const STYLE: Style = Style {
    conv: Init::Normal { mean: 0.0, std: 0.02 },
    linear: Init::Normal { mean: 0.0, std: 0.02 },
    running_variance: RunningVariance::Unbiased,
};
