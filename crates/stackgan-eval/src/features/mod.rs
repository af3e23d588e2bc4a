//! Networks that turn pictures into features: classifiers of `ImageNet`, evaluated only, from their published weights.
//!
//! Weights come as tensors by the names of the published file; reading files is not done here.

pub mod efficientnet_lite;
mod folded;

pub use efficientnet_lite::EfficientNetLite0;
