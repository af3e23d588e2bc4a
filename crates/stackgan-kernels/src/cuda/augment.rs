//! Translation and cutout of pictures.

use candle_core::cuda_backend::cudarc::driver::DevicePtr as _;
use candle_core::{CudaStorage, Layout, Result, Tensor};

use super::device::{AUGMENT, Arg, Grid, at, int};

/// Moves contiguous `f32` pictures `(N, C, H, W)` by `shifts (N, 2)`.
pub(crate) fn translate(x: &CudaStorage, layout: &Layout, shifts: &Tensor) -> Result<CudaStorage> {
    augmented("translate", (x, layout), shifts, &[])
}

/// Sets a square in contiguous `f32` pictures `(N, C, H, W)` to 0, at `corners (N, 2)`.
pub(crate) fn cut_out(
    x: &CudaStorage,
    layout: &Layout,
    corners: &Tensor,
    side: usize,
) -> Result<CudaStorage> {
    augmented("cut_out", (x, layout), corners, &[int(side)?])
}

fn augmented(
    kernel: &str,
    (x, layout): (&CudaStorage, &Layout),
    places: &Tensor,
    last: &[Arg],
) -> Result<CudaStorage> {
    let (_, channels, height, width) = layout.shape().dims4()?;
    let (device, count) = (&x.device, layout.shape().elem_count());
    // SAFETY: the kernels write every value.
    let y = unsafe { device.alloc::<f32>(count)? };
    let to = Arg::Address(y.device_ptr(&device.cuda_stream()).0);
    let slice = x.as_cuda_slice::<f32>()?;
    let from = slice.device_ptr(&device.cuda_stream()).0 + (layout.start_offset() * 4) as u64;
    let sizes = [Arg::I64(count as i64), int(channels)?, int(height)?, int(width)?];
    let args = [&[Arg::Address(from), at(places)?, to][..], &sizes, last].concat();
    AUGMENT.launch(device, kernel, Grid::over(count), &args)?;
    Ok(CudaStorage::wrap_cuda_slice(y, device.clone()))
}
