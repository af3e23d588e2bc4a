//! How long a device is kept from its work, by its own clock.

use std::time::Duration;

use candle_core::cuda_backend::cudarc::driver::{CudaEvent, sys};
use candle_core::{CudaDevice, Device, Error, Result};

/// The time between two places in the device's work, added up.
pub(crate) struct Gap {
    device: CudaDevice,
    opened: CudaEvent,
    closed: CudaEvent,
    /// Whether both are waiting to be read.
    whole: bool,
    sum: Duration,
}

impl Gap {
    pub(crate) fn new(device: &Device) -> Result<Self> {
        let device = device.as_cuda_device()?.clone();
        let stream = device.cuda_stream();
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT); // with times
        let event = || stream.context().new_event(flags).map_err(Error::wrap);
        let (opened, closed) = (event()?, event()?);
        Ok(Self { device, opened, closed, whole: false, sum: Duration::ZERO })
    }

    /// From when what was queued until now is done.
    pub(crate) fn open(&mut self) -> Result<()> {
        self.add()?;
        self.opened.record(&self.device.cuda_stream()).map_err(Error::wrap)
    }

    /// Until what was queued until now is done.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.closed.record(&self.device.cuda_stream()).map_err(Error::wrap)?;
        self.whole = true;
        Ok(())
    }

    /// All gaps but the last since this was last asked: that one may not be over.
    pub(crate) fn take(&mut self) -> Duration {
        std::mem::take(&mut self.sum)
    }

    fn add(&mut self) -> Result<()> {
        if std::mem::take(&mut self.whole) {
            let ms = self.opened.elapsed_ms(&self.closed).map_err(Error::wrap)?;
            self.sum += Duration::from_secs_f32(ms.max(0.0) / 1e3);
        }
        Ok(())
    }
}
