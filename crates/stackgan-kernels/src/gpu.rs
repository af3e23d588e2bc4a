//! Settings of computing on an NVIDIA GPU, one set for the process. Without the feature `cuda` there is none to open, and
//! the settings say nothing.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use candle_core::{DType, Device, Result, Shape, Tensor, WithDType};

/// How maps are held and multiplied on a GPU. Weights, statistics, losses and sums are `f32` in any case; a CPU computes in
/// `f32` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `f32`, multiplied as such.
    F32,
    /// `f32`, multiplied by tensor cores, which round factors to 10 bits behind the point; sums are `f32`.
    #[default]
    Tf32,
    /// `bf16`, multiplied by tensor cores; sums are `f32`.
    Bf16,
}

impl Precision {
    /// The type of maps.
    #[must_use]
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Tf32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

static PRECISION: AtomicU8 = AtomicU8::new(1);

/// Sets how maps that are made from now on are held and multiplied, and whether candle's own products may use tensor cores.
pub fn set_precision(precision: Precision) {
    PRECISION.store(precision as u8, Ordering::Relaxed);
    candle_core::cuda::set_gemm_reduced_precision_f32(precision != Precision::F32);
}

/// How maps are held and multiplied.
#[must_use]
pub fn precision() -> Precision {
    match PRECISION.load(Ordering::Relaxed) {
        0 => Precision::F32,
        1 => Precision::Tf32,
        _ => Precision::Bf16,
    }
}

/// GPU number `ordinal`, from 0, with its memory managed as training wants it.
///
/// # Errors
/// No such GPU, no driver, or a program without the feature `cuda`.
pub fn open(ordinal: usize) -> Result<Device> {
    #[cfg(feature = "cuda")]
    return crate::cuda::open(ordinal);
    #[cfg(not(feature = "cuda"))]
    Device::new_cuda(ordinal)
}

/// Sends values to a GPU while it computes: the host does not wait for it, nor it for what comes later than the values' first use.
pub struct Sender(#[cfg(feature = "cuda")] crate::cuda::Sender);

impl Sender {
    /// To one device, over memory that grows to a few times what is sent at once.
    ///
    /// # Errors
    /// A device that is no GPU, or one that is full.
    pub fn new(device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return crate::cuda::Sender::new(device).map(Self);
        #[cfg(not(feature = "cuda"))]
        candle_core::bail!("only a GPU is sent to, found {device:?}")
    }

    /// A tensor of `values`, which are read before this returns.
    ///
    /// # Errors
    /// Another count than that of `shape`, or a device that fails.
    pub fn send<T: WithDType>(&mut self, values: &[T], shape: impl Into<Shape>) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        {
            // SAFETY: every such type is a number without padding, any byte of which may be read.
            let bytes = unsafe {
                std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values))
            };
            self.0.send(bytes, shape.into(), T::DTYPE)
        }
        #[cfg(not(feature = "cuda"))]
        candle_core::bail!("nowhere to send {} values of {:?}", values.len(), shape.into())
    }
}

/// How long a GPU is kept from its work, by its own clock: the time between two places in what it is given to do.
pub struct Gap(#[cfg(feature = "cuda")] crate::cuda::Gap);

impl Gap {
    /// Of one device.
    ///
    /// # Errors
    /// A device that is no GPU.
    pub fn new(device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return crate::cuda::Gap::new(device).map(Self);
        #[cfg(not(feature = "cuda"))]
        candle_core::bail!("only a GPU has a clock of its own, found {device:?}")
    }

    /// A gap begins when what was queued until now is done. Waits for the end of the one before, if that has not come.
    ///
    /// # Errors
    /// When the device fails.
    pub fn open(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        return self.0.open();
        #[cfg(not(feature = "cuda"))]
        Ok(())
    }

    /// It ends when what was queued until now is done.
    ///
    /// # Errors
    /// When the device fails.
    pub fn close(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        return self.0.close();
        #[cfg(not(feature = "cuda"))]
        Ok(())
    }

    /// All gaps but the last, since this was last asked.
    pub fn take(&mut self) -> Duration {
        #[cfg(feature = "cuda")]
        return self.0.take();
        #[cfg(not(feature = "cuda"))]
        Duration::ZERO
    }
}

/// Work of a GPU that was recorded once and can be replayed as often as is wished, with the values that its tensors then have:
/// launches cost the host nothing but the first time.
pub struct Recorded(#[cfg(feature = "cuda")] crate::cuda::Recorded);

/// Whether work on this device can be recorded.
#[must_use]
pub fn can_record(device: &Device) -> bool {
    cfg!(feature = "cuda") && device.is_cuda()
}

/// What comes before [`record`]: the same work is to be done once while this lives, so that what it sends to the device each
/// time (sizes, constants) stays there.
pub struct Rehearsal(
    #[cfg(feature = "cuda")]
    #[expect(dead_code, reason = "see above")]
    crate::cuda::Rehearsal,
);

/// What a GPU holds has nothing to show on the host.
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

/// Begins a rehearsal, to be dropped after [`record`], on the same thread.
///
/// # Errors
/// A device that cannot record.
pub fn rehearse(device: &Device) -> Result<Rehearsal> {
    #[cfg(feature = "cuda")]
    return crate::cuda::rehearse(device).map(Rehearsal);
    #[cfg(not(feature = "cuda"))]
    candle_core::bail!("only a GPU's work can be recorded, found {device:?}")
}

/// Records what `work` queues on the device, without doing it. `work` must read nothing from the device, send nothing that was
/// not sent in the rehearsal, drop every tensor that it makes, and none that was made before.
///
/// # Errors
/// Those of `work`, and what the device refuses to record.
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
    /// Queues the work.
    ///
    /// # Errors
    /// When the device fails.
    pub fn replay(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        return self.0.replay();
        #[cfg(not(feature = "cuda"))]
        Ok(())
    }
}
