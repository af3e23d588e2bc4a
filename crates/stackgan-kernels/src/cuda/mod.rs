//! The operations on an NVIDIA GPU: cuDNN for convolutions, and the kernels in `cuda/*.cu` for the
//! rest.
//!
//! Maps are stored as `(N, H, W, C)` in `f32` or `bf16`, the layout that tensor cores need. Weights
//! stay in `f32` and in the order of the files. Every sum has a fixed order and only deterministic
//! cuDNN algorithms are used, so the same step always gives the same bits.

mod augment;
mod bce;
mod classifiers;
mod conv;
mod cudnn;
mod device;
mod elementwise;
mod gap;
mod graph;
mod link;
mod many;
mod norm;
mod sender;

pub(crate) use augment::{cut_out, translate};
pub(crate) use bce::bce_with_logits;
pub(crate) use classifiers::{clamp, depthwise};
pub(crate) use conv::conv;
pub(crate) use device::open;
pub(crate) use elementwise::{activate, add_activate, append_tiled, enter, leave};
pub(crate) use gap::Gap;
pub(crate) use graph::{Recorded, Rehearsal, record, rehearse};
pub(crate) use link::Map;
pub(crate) use many::{
    adam_update_all, applies, average_all, copy_all, count_non_finite, squared_norm,
};
pub(crate) use norm::{batch_norm, conv_norm};
pub(crate) use sender::Sender;
