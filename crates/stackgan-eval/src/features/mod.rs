//! Networks that turn pictures into features: `ImageNet` classifiers with their published weights.
//! They are only evaluated, never trained. [`EfficientNetLite0`] passes a gradient through to the
//! pictures.
//!
//! Weights are given as tensors, with the names of the published file; this module does not read
//! files. [`Network`] describes the input and the names of a network's measures. [`Extractor`]
//! turns pictures into rows.

pub mod efficientnet_lite;
mod extractor;
mod folded;
pub mod inception;
mod network;
mod resize;

pub use efficientnet_lite::EfficientNetLite0;
pub use extractor::{Extracted, Extractor};
pub use network::{Measure, Network, Published};
pub use resize::{Resample, Resize};
