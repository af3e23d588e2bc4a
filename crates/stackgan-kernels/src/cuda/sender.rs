//! Copies of values to the device while it computes, from pinned memory on a separate stream.
//!
//! The device's compute stream waits for a copy only where its values are first used. The host
//! waits only until the previous values of a slot have been copied. Memory from the device's pool
//! is ordered by its stream, so the values arrive in a buffer outside of that order and are copied
//! from there, which takes a few microseconds.
#![allow(unsafe_code, reason = "copies between raw addresses")]

use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaEvent, CudaSlice, CudaStream, DevicePtr as _, PinnedHostSlice, result,
};
use candle_core::{CudaDevice, DType, Device, Error, Result, Shape, Tensor};

use super::device;

/// Copies values to one device.
pub(crate) struct Sender {
    device: CudaDevice,
    stream: Arc<CudaStream>,
    slots: Vec<Slot>,
    next: usize,
}

/// The buffers of one copy. They grow to the size of the largest copy.
struct Slot {
    places: Option<(PinnedHostSlice<u8>, CudaSlice<u8>)>,
    /// Recorded when the host buffer may be written again.
    sent: CudaEvent,
    /// Recorded when the device buffer may be written again.
    taken: CudaEvent,
}

impl Sender {
    pub(crate) fn new(device: &Device, copies: usize) -> Result<Self> {
        let device = device.as_cuda_device()?.clone();
        let compute = device.cuda_stream();
        let context = compute.context();
        let slot = |_| Slot::new(context);
        let slots = (0..copies.max(1)).map(slot).collect::<Result<_>>()?;
        let stream = context.new_stream().map_err(Error::wrap)?;
        Ok(Self { device, stream, slots, next: 0 })
    }

    /// Returns a tensor of these bytes, which have been read when this returns.
    pub(crate) fn send(&mut self, bytes: &[u8], shape: Shape, dtype: DType) -> Result<Tensor> {
        let count = shape.elem_count();
        if count * dtype.size_in_bytes() != bytes.len() {
            candle_core::bail!("{} bytes for {shape:?} of {dtype:?}", bytes.len());
        }
        let tensor = device::empty(&self.device, shape, dtype)?;
        let to = device::address(&tensor)?;
        let at = self.next;
        self.next = (at + 1) % self.slots.len();
        let slot = &mut self.slots[at];
        slot.pass(bytes, to, (&self.stream, &self.device.cuda_stream())).map_err(Error::wrap)?;
        Ok(tensor)
    }
}

impl Slot {
    fn new(context: &Arc<CudaContext>) -> Result<Self> {
        let event = || context.new_event(None).map_err(Error::wrap);
        Ok(Self { places: None, sent: event()?, taken: event()? })
    }

    /// Returns both buffers, with room for at least `count` bytes.
    fn places(
        &mut self,
        count: usize,
        stream: &Arc<CudaStream>,
    ) -> std::result::Result<&mut (PinnedHostSlice<u8>, CudaSlice<u8>), result::DriverError> {
        if self.places.as_ref().is_none_or(|(_, there)| there.len() < count) {
            self.taken.synchronize()?;
            self.places = None; // free the old buffers before allocating the new ones
        }
        Ok(match &mut self.places {
            Some(places) => places,
            none => {
                // SAFETY: `pass` writes to each buffer before it reads from it.
                let new = unsafe { (stream.context().alloc_pinned(count)?, stream.alloc(count)?) };
                none.insert(new)
            }
        })
    }

    /// Copies from the host over `stream` to `to`, whose memory is ordered by `compute`.
    fn pass(
        &mut self,
        bytes: &[u8],
        to: u64,
        (stream, compute): (&Arc<CudaStream>, &Arc<CudaStream>),
    ) -> std::result::Result<(), result::DriverError> {
        self.sent.synchronize()?;
        stream.wait(&self.taken)?;
        let (here, there) = self.places(bytes.len(), stream)?;
        let here = &mut here.as_mut_slice()?[..bytes.len()];
        here.copy_from_slice(bytes);
        let there = there.device_ptr(stream).0;
        // SAFETY: the device buffer has room for the bytes and lives until `taken`; the host buffer
        // is pinned and is not written before `sent`.
        unsafe { result::memcpy_htod_async(there, here, stream.cu_stream())? };
        self.sent.record(stream)?;
        compute.wait(&self.sent)?;
        // SAFETY: `to` was allocated for that many bytes, and memory is freed in the order of this
        // stream.
        unsafe { result::memcpy_dtod_async(to, there, bytes.len(), compute.cu_stream())? };
        self.taken.record(compute)
    }
}

impl Drop for Sender {
    /// Waits for all copies in flight before their buffers are freed.
    fn drop(&mut self) {
        for slot in &self.slots {
            let _ = (slot.sent.synchronize(), slot.taken.synchronize()); // a lost device: no copies
        }
    }
}
