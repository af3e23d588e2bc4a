//! The temporal convolution, and the threshold behind it.

use candle_core::{Result, Tensor};
use stackgan_kernels::product;

/// Width of every temporal convolution.
pub(in super::super) const KERNEL: usize = 4;

/// The threshold of Lua's `nn.Threshold`: values that are not greater become 0.
pub(crate) const THRESHOLD: f32 = 1e-6;

/// Applies a temporal convolution with `weight (out, in, 4)`, without bias, to [`super::windows`]. Returns
/// `(batch, steps, out)`.
pub(in super::super) fn convolution(windows: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (batch, steps, width) = windows.dims3()?;
    let out = weight.dim(0)?;
    // The kernel position is outermost, as in `windows`.
    let matrix = weight.permute((2, 1, 0))?.contiguous()?.reshape((width, out))?;
    product(&windows.reshape((batch * steps, width))?, &matrix)?.reshape((batch, steps, out))
}
