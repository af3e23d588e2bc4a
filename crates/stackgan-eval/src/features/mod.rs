//! Networks that turn pictures into features: classifiers of `ImageNet`, evaluated only, from their published weights. Through
//! [`EfficientNetLite0`] a gradient reaches the pictures.
//!
//! Weights come as tensors by the names of the published file; reading files is not done here. [`Network`] says what each
//! is fed and what its numbers may be called, [`Extractor`] turns pictures into rows.

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
