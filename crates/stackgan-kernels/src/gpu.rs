//! Settings for computing on an NVIDIA GPU, one set per process.
//!
//! Without the feature `cuda` no GPU can be opened, and the settings have no effect.
#![allow(unsafe_code, reason = "numbers as their bytes")]

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use candle_core::{DType, Device, Result, Shape, Tensor};

use plain::Plain;

/// How feature maps are stored and multiplied on a GPU.
///
/// Weights, statistics, losses and sums are always `f32`. A CPU always computes in `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Stored as `f32` and multiplied in `f32`.
    F32,
    /// Stored as `f32` and multiplied by tensor cores, which round the factors to a 10-bit
    /// mantissa. Sums are `f32`.
    #[default]
    Tf32,
    /// Stored as `bf16` and multiplied by tensor cores. Sums are `f32`.
    Bf16,
}

impl Precision {
    /// Returns the element type of maps.
    #[must_use]
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Tf32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

static PRECISION: AtomicU8 = AtomicU8::new(1);

/// Sets how maps created from now on are stored and multiplied.
///
/// This also sets whether candle's own matrix products may use tensor cores.
pub fn set_precision(precision: Precision) {
    PRECISION.store(precision as u8, Ordering::Relaxed);
    candle_core::cuda::set_gemm_reduced_precision_f32(precision != Precision::F32);
}

/// Returns how maps are stored and multiplied.
#[must_use]
pub fn precision() -> Precision {
    match PRECISION.load(Ordering::Relaxed) {
        0 => Precision::F32,
        1 => Precision::Tf32,
        _ => Precision::Bf16,
    }
}

/// Opens the GPU with the index `ordinal`, counted from 0, and configures its memory for training.
///
/// All threads share its stream. The kernels of this crate refuse a GPU that `Device::new_cuda`
/// opened, on which each thread has a stream of its own.
///
/// # Errors
/// No such GPU, no driver, or a program built without the feature `cuda`.
pub fn open(ordinal: usize) -> Result<Device> {
    #[cfg(feature = "cuda")]
    return crate::cuda::open(ordinal);
    #[cfg(not(feature = "cuda"))]
    Device::new_cuda(ordinal)
}

mod plain {
    /// Numbers whose bytes are all theirs. No other crate can implement it, because `Sender` reads
    /// them as bytes.
    pub trait Plain: candle_core::WithDType {}

    impl Plain for u8 {}
    impl Plain for f32 {}
}

/// Copies values to a GPU while it computes.
///
/// The host does not wait for the GPU. The GPU waits for a copy only before the first use of its
/// values.
pub struct Sender(#[cfg(feature = "cuda")] crate::cuda::Sender);

impl Sender {
    /// Creates a sender for one device, of which this many copies may be on their way at a time.
    /// Each has a buffer, which grows to the size of its largest copy.
    ///
    /// # Errors
    /// A device that is not a GPU or has no free memory.
    pub fn new(device: &Device, copies: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return crate::cuda::Sender::new(device, copies).map(Self);
        #[cfg(not(feature = "cuda"))]
        candle_core::bail!("only a GPU is sent to, {copies} copies at a time; found {device:?}")
    }

    /// Returns a tensor of `values`, `u8` or `f32`, which have been read when this returns.
    ///
    /// # Errors
    /// A number of values other than that of `shape`, or a failure of the device.
    pub fn send<T: Plain>(&mut self, values: &[T], shape: impl Into<Shape>) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        {
            // SAFETY: `u8` and `f32` are the only such types. They have no padding, so all of their
            // bytes may be read.
            let bytes = unsafe {
                std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values))
            };
            self.0.send(bytes, shape.into(), T::DTYPE)
        }
        #[cfg(not(feature = "cuda"))]
        candle_core::bail!("nowhere to send {} values of {:?}", values.len(), shape.into())
    }
}

/// Measures how long a GPU is idle, by its own clock, as the time between two points in its queue.
pub struct Gap(#[cfg(feature = "cuda")] crate::cuda::Gap);

impl Gap {
    /// Creates a measurement for one device.
    ///
    /// # Errors
    /// A device that is not a GPU.
    pub fn new(device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return crate::cuda::Gap::new(device).map(Self);
        #[cfg(not(feature = "cuda"))]
        candle_core::bail!("only a GPU has a clock of its own, found {device:?}")
    }

    /// Starts a gap at the point where all work queued so far is done.
    ///
    /// Waits for the end of the previous gap if it is not over yet.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn open(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        return self.0.open();
        #[cfg(not(feature = "cuda"))]
        Ok(())
    }

    /// Ends the gap at the point where all work queued so far is done.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn close(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        return self.0.close();
        #[cfg(not(feature = "cuda"))]
        Ok(())
    }

    /// Returns the total length of all gaps since the last call, except the most recent one.
    pub fn take(&mut self) -> Duration {
        #[cfg(feature = "cuda")]
        return self.0.take();
        #[cfg(not(feature = "cuda"))]
        Duration::ZERO
    }
}

/// GPU work that was recorded once and can be replayed any number of times.
///
/// A replay uses the values that the tensors hold at that time. Only the recording has the cost of
/// individual launches on the host. The memory of the work is given back when this is dropped.
pub struct Recorded(#[cfg(feature = "cuda")] crate::cuda::Recorded);

/// Returns whether this is a device whose work is recorded. A GPU without a pool of memory refuses
/// all the same, in [`record`].
#[must_use]
pub fn can_record(device: &Device) -> bool {
    cfg!(feature = "cuda") && device.is_cuda()
}

/// A guard for the rehearsal that must precede [`record`], on the same thread.
///
/// The same work must run once while this guard is alive. Small data that the work sends to the
/// device each time (sizes, constants) then stays there.
pub struct Rehearsal(
    #[cfg(feature = "cuda")]
    #[expect(dead_code, reason = "see above")]
    crate::cuda::Rehearsal,
);

/// Implements `Debug` without fields, because the contents live on the GPU.
macro_rules! opaque {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque!(Sender, Gap, Recorded, Rehearsal);

/// Begins a rehearsal, which ends when the guard is dropped.
///
/// # Errors
/// A device that is not a GPU.
pub fn rehearse(device: &Device) -> Result<Rehearsal> {
    #[cfg(feature = "cuda")]
    return crate::cuda::rehearse(device).map(Rehearsal);
    #[cfg(not(feature = "cuda"))]
    candle_core::bail!("only a GPU's work can be recorded, found {device:?}")
}

/// Records the work that `work` queues on the device, without executing it.
///
/// `work` must not read from the device, and must not send anything that was not sent in the
/// rehearsal. It must drop every tensor that it creates, and no tensor created before.
///
/// # Errors
/// Errors of `work`, operations that the device cannot record, and a GPU without a pool of memory.
pub fn record(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Recorded> {
    #[cfg(feature = "cuda")]
    return crate::cuda::record(device, work).map(Recorded);
    #[cfg(not(feature = "cuda"))]
    {
        drop(work);
        candle_core::bail!("only a GPU's work can be recorded, found {device:?}")
    }
}

impl Recorded {
    /// Queues the recorded work.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn replay(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        return self.0.replay();
        #[cfg(not(feature = "cuda"))]
        Ok(())
    }
}

/// Returns whether an error, or one of its causes, says that the memory of a GPU is full.
#[must_use]
pub fn memory_is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let full = |error: &(dyn std::error::Error + 'static)| {
        let text = error.to_string();
        // Of CUDA, of cuBLAS, and of cuDNN, which says whether it is the device's memory or the host's.
        let names = ["CUDA_ERROR_OUT_OF_MEMORY", "STATUS_ALLOC_FAILED", "DEVICE_ALLOCATION_FAILED"];
        names.iter().any(|name| text.contains(name))
    };
    std::iter::successors(Some(error), |error| error.source()).any(full)
}
