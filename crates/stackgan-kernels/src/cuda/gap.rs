//! Measurement of a device's idle time by its own clock.

use std::time::Duration;

use candle_core::cuda_backend::cudarc::driver::{CudaEvent, sys};
use candle_core::{CudaDevice, Device, Error, Result};

/// The total time between pairs of points in the device's queue.
pub(crate) struct Gap {
    device: CudaDevice,
    opened: CudaEvent,
    closed: CudaEvent,
    /// Whether both events have been recorded and not yet been read.
    whole: bool,
    sum: Duration,
}

impl Gap {
    pub(crate) fn new(device: &Device) -> Result<Self> {
        let device = device.as_cuda_device()?.clone();
        let stream = device.cuda_stream();
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT); // with timing
        let event = || stream.context().new_event(flags).map_err(Error::wrap);
        let (opened, closed) = (event()?, event()?);
        Ok(Self { device, opened, closed, whole: false, sum: Duration::ZERO })
    }

    /// Starts a gap at the point where all work queued so far is done.
    pub(crate) fn open(&mut self) -> Result<()> {
        self.add()?;
        self.opened.record(&self.device.cuda_stream()).map_err(Error::wrap)
    }

    /// Ends the gap at the point where all work queued so far is done.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.closed.record(&self.device.cuda_stream()).map_err(Error::wrap)?;
        self.whole = true;
        Ok(())
    }

    /// Returns the total of all gaps since the last call, except the most recent one, which may not
    /// be over.
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
