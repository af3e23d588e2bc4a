//! The operations on an NVIDIA GPU: cuDNN's convolutions, and kernels of our own (`cuda/*.cu`) for the rest.
//!
//! Maps lie as `(N, H, W, C)` there, in `f32` or `bf16`, as tensor cores want them. Weights stay `f32` in the order of the
//! files. Every sum has a fixed order, so that the same step gives the same bits (of cuDNN's algorithms only those that do).

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
