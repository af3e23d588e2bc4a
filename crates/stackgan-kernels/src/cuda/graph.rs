//! Work that is queued once and then replayed, as a CUDA graph.

use std::any::Any;

use candle_core::cuda_backend::cudarc::driver::{CudaGraph, sys};
use candle_core::{Device, Error, Result, bail};

/// Recorded work.
pub(crate) struct Recorded(CudaGraph);

// SAFETY: a graph belongs to no thread, and only one thread uses it at a time, since replaying
// takes it mutably.
unsafe impl Send for Recorded {}

impl Recorded {
    pub(crate) fn replay(&mut self) -> Result<()> {
        self.0.launch().map_err(Error::wrap)
    }
}

/// While this guard is alive, small data that operations send to the device stays there, because
/// recorded work must not send anything.
pub(crate) struct Rehearsal(
    #[expect(dead_code, reason = "does its work when dropped; candle does not name its type")]
    Box<dyn Any>,
);

// SAFETY: it changes a counter of its own thread, and a trainer stays on one thread.
unsafe impl Send for Rehearsal {}

pub(crate) fn rehearse(device: &Device) -> Result<Rehearsal> {
    Ok(Rehearsal(Box::new(device.as_cuda_device()?.enable_cuda_graph_htod_cache())))
}

pub(crate) fn record(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Recorded> {
    let stream = device.as_cuda_device()?.cuda_stream();
    let mode = sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    stream.begin_capture(mode).map_err(Error::wrap)?;
    let worked = work();
    // Capture must end even if the work failed.
    let flags = sys::CUgraphInstantiate_flags_enum::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = stream.end_capture(flags);
    worked?;
    match graph.map_err(Error::wrap)? {
        Some(graph) => Ok(Recorded(graph)),
        None => bail!("nothing was recorded"),
    }
}
