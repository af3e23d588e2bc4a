//! The few hot operations of the networks as candle operations, forward and backward.
//!
//! candle's own CPU convolutions are several times slower than `torch`'s, and some of its derivatives are not
//! `torch`'s (relu at 0) or wrong (nearest up-sampling of a tensor used twice). Each operation here has two forms:
//!
//! - a fast one for `f32` on the CPU, which computes gradients only for arguments that are
//!   tracked (a frozen weight or a plain image costs nothing);
//! - its twin in [`mod@reference`], made of plain candle operations and differentiated by candle. It is what the tests
//!   compare with, and what runs for any other element type or device.
//!
//! Networks use convolutions and batch norm through [`Maps`], which hold feature maps as the device wants them: on a CPU in blocks of
//! sixteen channels, with Winograd's forms of each convolution; on an NVIDIA GPU (feature `cuda`) as cuDNN does, where a whole
//! step's work can be recorded and replayed ([`gpu`]). [`backward`] differentiates what was made of maps. What only networks for measuring need
//! ([`Clamp`], [`Filter::Depthwise`], [`Pool`]) has no gradient.
//!
//! The public functions choose. Results of the fast forms do not depend on the number of threads, to the bit: work
//! is cut by shape alone, and every sum has a fixed order.
//!
//! Images are `(N, C, H, W)`, row-major.
#![allow(
    unsafe_code,
    reason = "kernels for newer CPUs, settings of the allocator and of the environment"
)]

mod activation;
mod adam;
mod batch_norm;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod fast;
mod geometry;
pub mod gpu;
mod linear;
mod link;
mod losses;
mod many;
mod maps;
pub mod memory;
mod pool;
pub mod reference;
mod tanh;
pub mod threads;
mod vectorised;
mod written;

pub use activation::{Activation, activate};
pub use adam::{AdamAttempt, AdamStep, adam_update};
pub use batch_norm::{BatchStatistics, batch_norm_eval, batch_norm_train};
pub use geometry::Padding;
pub use gpu::Precision;
pub use linear::linear;
pub use link::backward;
pub use losses::bce_with_logits;
pub use many::{
    AdamFactors, AdamUpdate, adam_update_all, average_all, copy_all, count_non_finite, squared_norm,
};
pub use maps::{Clamp, Filter, Maps, Norm, Statistics};
pub use pool::Pool;
pub use tanh::tanh;

/// What convolutions on `device` are computed with: `cpu avx512`, `cpu avx2`, `cpu portable`; `cuda f32`, `cuda tf32`, `cuda bf16`. Where
/// this differs, so do last bits of results.
#[must_use]
pub fn arithmetic(device: &candle_core::Device) -> &'static str {
    match (device.is_cpu(), gpu::precision()) {
        (true, _) => cpu::instructions(),
        (false, Precision::F32) => "cuda f32",
        (false, Precision::Tf32) => "cuda tf32",
        (false, Precision::Bf16) => "cuda bf16",
    }
}
