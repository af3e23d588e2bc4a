//! Translation and cutout of pictures.

use candle_core::{CudaStorage, Layout, Result, Tensor};

use super::device::{AUGMENT, Arg, Grid, f32_at, f32_in, int, output};

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
    let (y, to) = output(device, count)?;
    let sizes = [Arg::I64(count as i64), int(channels)?, int(height)?, int(width)?];
    let args = [&[f32_in(x, layout)?, f32_at(places)?, to][..], &sizes, last].concat();
    AUGMENT.launch(device, kernel, Grid::over(count), &args)?;
    Ok(y)
}
