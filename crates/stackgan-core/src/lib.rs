//! StackGAN (Zhang et al., ICCV 2017) on candle: networks, conditioning augmentation, losses, text encoder,
//! model file, and the way from a caption to a picture.
//!
//! Two recipes were published and both are here, side by side and never mixed: [`residual`] (the TensorFlow release
//! that made the paper's CUB and Oxford-102 results) and [`plain`] (the PyTorch release for COCO).
//!
//! This crate opens no file, starts no thread of its own, reads no clock and prints nothing. Two things are the process's,
//! not a model's: memory of feature maps on a CPU is kept for the next ones until [`kernels::memory`] gives it back, and the
//! precision of a GPU is set for all ([`kernels::gpu`]).
//!
//! A network is built on the [`Scope`] of [`Params`]: `Params::fresh` for one to train, of which an optimiser takes
//! [`Params::trainable`] once the network is built; `frozen` for a look that records no gradient. What is random comes in as
//! [`GeneratorNoise`]. Gradients are those of [`kernels::backward`] (candle's own `backward` gives the same), of first order
//! alone.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use stackgan_core::{Device, Model, Sampling};
//!
//! let model = Model::from_bytes(&std::fs::read("birds.safetensors")?, &Device::Cpu)?;
//! let images = model.generate(&["a small red bird with a short beak"], Sampling { seed: 7, ..Default::default() })?;
//! std::fs::write("bird.png", images[0].encode_png()?)?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod animation;
pub mod archive;
pub mod cond_aug;
pub mod config;
mod error;
pub mod gan;
pub mod image;
pub mod interpolation;
pub mod layers;
pub mod losses;
pub mod model;
pub mod onnx;
pub mod params;
mod pipeline;
pub mod plain;
pub mod provenance;
mod refiner;
pub mod residual;
pub mod text;

pub use candle_core::{self as candle, Device};
pub use config::{NetConfig, Recipe};
pub use error::{Error, Result};
pub use gan::{Generator, GeneratorNoise, Mode, Painted};
pub use model::{Model, ModelInfo, StageInfo};
pub use params::{Params, Scope};
pub use pipeline::{Painting, Sampling};
pub use provenance::Provenance;
pub use stackgan_kernels as kernels;
pub use stackgan_noise as noise;
