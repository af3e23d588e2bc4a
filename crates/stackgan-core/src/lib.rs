//! StackGAN (Zhang et al., ICCV 2017) on candle: networks, conditioning augmentation, losses, text
//! encoder, model file, and generation of pictures from captions.
//!
//! Two recipes were published, and both are implemented side by side, without mixing them:
//! [`residual`] (the TensorFlow release, which made the paper's CUB and Oxford-102 results) and
//! [`plain`] (the PyTorch release for COCO).
//!
//! This crate opens no files, starts no threads itself, reads no clock and prints nothing. Two
//! settings belong to the process, not to a model: memory of feature maps on a CPU is kept for
//! reuse until [`kernels::memory`] releases it, and the precision of a GPU is set for the whole
//! process ([`kernels::gpu`]).
//!
//! A network is built on the [`Scope`] of [`Params`]. Use `Params::fresh` for a network to train;
//! once it is built, an optimiser takes [`Params::trainable`]. Use `frozen` for a view that records
//! no gradients. All random inputs are passed in as [`GeneratorNoise`]. Gradients come from
//! [`kernels::backward`] (candle's own `backward` gives the same), and are of first order only.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use stackgan_core::{Device, Model, Sampling};
//!
//! let model = Model::from_bytes(&std::fs::read("birds.safetensors")?, &Device::Cpu)?;
//! let caption = "a small red bird with a short beak";
//! let images = model.generate(&[caption], 7, Sampling::default())?;
//! std::fs::write("bird.png", images[0].encode_png()?)?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod animation;
pub mod archive;
pub mod cond_aug;
pub mod config;
pub mod digest;
mod error;
pub mod generator;
pub mod generator_noise;
pub mod generators;
pub mod image;
pub mod interpolation;
pub mod layers;
pub mod losses;
pub mod model;
pub mod onnx;
pub mod params;
mod picture_encoder;
mod pipeline;
pub mod plain;
#[doc(hidden)]
pub mod protobuf;
pub mod provenance;
pub mod residual;
pub mod shapes;
mod stage2;
pub mod text;

/// candle's device. Open a GPU by [`kernels::gpu::open`]: all threads share its stream then, without which
/// the kernels refuse it.
pub use candle_core::Device;
pub use candle_core::{self as candle};
pub use config::{NetConfig, Recipe, Stage};
pub use error::{Error, Result};
pub use generator::{Generator, Mode, Painted};
pub use generator_noise::GeneratorNoise;
pub use model::{Model, ModelInfo, Parts, StageInfo, StagePart, TextPart};
pub use params::{Params, Scope};
pub use pipeline::{Painting, Request, Resolved, Sampling};
pub use provenance::{NamedModel, Provenance};
pub use stackgan_kernels as kernels;
pub use stackgan_noise as noise;

/// Models, and what is made of them, can be shared between threads and sent to others.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<(Model, Params, Painting, image::Picture, Error)>();
    shared::<(residual::Discriminator, plain::Discriminator)>();
};
