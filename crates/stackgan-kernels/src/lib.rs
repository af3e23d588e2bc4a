//! The few hot operations of the networks as candle operations, forward and backward.
//!
//! candle's own CPU convolutions are several times slower than `torch`'s, and some of its
//! derivatives differ from `torch`'s (relu at 0) or are wrong (nearest up-sampling of a tensor used
//! twice). Each operation here has two forms:
//!
//! - a fast form for `f32` on the CPU, which computes gradients only for tracked arguments (a
//!   frozen weight or a plain image costs nothing);
//! - a twin in [`mod@reference`], made of plain candle operations and differentiated by candle.
//!   Tests compare against it, and it runs for all other element types and devices.
//!
//! The public functions choose between the two.
//!
//! Networks use convolutions and batch norm through [`Maps`], which stores feature maps in the
//! layout that suits the device. On a CPU the channels are stored in blocks of sixteen, and
//! convolutions use Winograd's forms. On an NVIDIA GPU (feature `cuda`) cuDNN computes, and a whole
//! step can be recorded and replayed ([`gpu`]). [`backward`] differentiates losses computed from
//! maps. Of what only pretrained networks need, the weights have no gradient ([`Clamp`],
//! [`Filter::Depthwise`]), and on a CPU neither has [`Pool`].
//!
//! Results of the fast forms do not depend on the number of threads, to the bit: the work is
//! divided by shape alone, and every sum has a fixed order.
//!
//! Images are `(N, C, H, W)`, row-major.
#![deny(unsafe_code)] // a file that needs it says why

mod activate;
mod activation;
mod adam;
mod augment;
mod batch_norm;
mod clamp;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod exp;
mod fast;
mod filter;
mod finite;
mod geometry;
pub mod gpu;
mod linear;
mod link;
mod losses;
mod many;
mod maps;
pub mod memory;
mod norm;
mod pool;
mod product;
pub mod reference;
mod sum;
mod tanh;
pub mod threads;
mod vectorised;
mod written;

pub use activate::activate;
pub use activation::Activation;
pub use adam::{AdamAttempt, AdamStep, AdamUpdate, adam_update};
pub use augment::{cut_out, translate};
pub use clamp::Clamp;
pub use exp::exp;
pub use fast::{applies as is_fast, locked as locked_values, values};
pub use filter::Filter;
pub use finite::non_finite;
pub use geometry::Padding;
pub use gpu::Precision;
pub use linear::linear;
pub use link::backward;
pub use losses::bce_with_logits;
pub use many::{
    AdamFactors, adam_update_all, average_all, copy_all, count_non_finite, squared_norm,
};
pub use maps::Maps;
pub use norm::{BatchStatistics, Norm, Statistics};
pub use pool::Pool;
pub use product::{Multiplier, product};
pub use sum::{repeat_each, sum_each};
pub use tanh::{tanh, tanh_in_place};

/// Returns the arithmetic with which convolutions on `device` are computed.
///
/// This is `cpu avx512`, `cpu avx2`, `cpu neon`, `cpu portable`, `cuda f32`, `cuda tf32` or
/// `cuda bf16`.
/// Results computed with different arithmetic differ in their last bits.
#[must_use]
pub fn arithmetic(device: &candle_core::Device) -> &'static str {
    match (device.is_cpu(), gpu::precision()) {
        (true, _) => cpu::instructions(),
        (false, Precision::F32) => "cuda f32",
        (false, Precision::Tf32) => "cuda tf32",
        (false, Precision::Bf16) => "cuda bf16",
    }
}
