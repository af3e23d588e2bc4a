//! Work that is queued once and then replayed, as a CUDA graph.
#![allow(unsafe_code, reason = "calls of the driver, and recorded work that changes threads")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::{CudaGraph, CudaStream, sys};
use candle_core::{Device, Error, Result, bail};

use super::device::release;

/// Recorded work.
pub(crate) struct Recorded {
    graph: CudaGraph,
    memory: Memory, // after the graph, which is dropped first
}

/// The memory that the graphs of a device took. What no graph uses is given back when this is
/// dropped.
struct Memory(Arc<CudaStream>);

impl Memory {
    fn give_back(&self) {
        // SAFETY: the device of a context exists. Only memory that no graph uses is given back.
        let _ = unsafe { sys::cuDeviceGraphMemTrim(self.0.context().cu_device()) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = self.0.synchronize(); // a replay uses it until it is over
        self.give_back();
    }
}

// SAFETY: a graph belongs to no thread, and only one thread uses it at a time, since replaying
// takes it mutably. A stream may be used by any thread.
unsafe impl Send for Recorded {}

impl Recorded {
    /// If this fails, nothing was executed, and the memory that was taken for it is given back.
    pub(crate) fn replay(&mut self) -> Result<()> {
        self.graph.launch().map_err(|error| {
            self.memory.give_back();
            Error::wrap(error)
        })
    }
}

/// While this guard is alive, small data that operations send to the device stays there for the rest
/// of the process, and is found there. Recorded work must not send anything.
pub(crate) struct Rehearsal(
    #[expect(dead_code, reason = "does its work when dropped; candle does not name its type")]
    Box<dyn Any>,
);

pub(crate) fn rehearse(device: &Device) -> Result<Rehearsal> {
    Ok(Rehearsal(Box::new(device.as_cuda_device()?.enable_cuda_graph_htod_cache())))
}

pub(crate) fn record(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Recorded> {
    let stream = device.as_cuda_device()?.cuda_stream();
    if !stream.context().has_async_alloc() {
        bail!("this GPU has no pool of memory, without which no work is recorded");
    }
    let _found = rehearse(device)?;
    // A graph's memory is not that of the pool: what earlier steps left there is given back first.
    release(&stream)?;
    let mode = sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    stream.begin_capture(mode).map_err(Error::wrap)?;
    // Capture must end even if the work failed, or panicked: candle's cache unwraps errors that were
    // recorded while a tensor was dropped.
    let worked = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Msg("the work panicked while it was recorded".to_owned())));
    // An error that was recorded while a tensor was dropped would be returned instead of ending it;
    // the graph or `worked` tells of it as well.
    let context = stream.context();
    let _ = context.check_err();
    let flags = sys::CUgraphInstantiate_flags_enum::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = stream.end_capture(flags);
    let _ = context.check_err();
    worked?;
    match graph.map_err(Error::wrap)? {
        Some(graph) => Ok(Recorded { graph, memory: Memory(stream) }),
        None => bail!("nothing was recorded"),
    }
}
