//! Two-dimensional convolution by im2col and matrix product, tile by tile, so that columns stay in cache.

mod backward;
mod columns;
mod depthwise;
mod forward;
mod whole;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::geometry::{Conv2dShape, Padding};
use crate::{fast, reference};
pub use depthwise::depthwise_conv2d;

/// Convolves `x (N, Cin, H, W)` with `weight (Cout, Cin, kh, kw)`, without bias: `(N, Cout, H', W')` with
/// `H' = (H + top + bottom - kh) / stride + 1`, and likewise for the width.
///
/// The kernel may be any rectangle, such as `(1, k)` on `(N, C, 1, L)` for a convolution over time; the stride is that of
/// both axes. A number as padding is that of all sides.
///
/// # Errors
/// Wrong ranks, channels that do not match, stride 0, a kernel larger than the padded input: with the shapes.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: impl Into<Padding>,
) -> Result<Tensor> {
    let padding = padding.into();
    let shape = Conv2dShape::new(x, weight, stride, padding)?;
    if fast::applies(&[x, weight]) {
        x.contiguous()?.apply_op2(&weight.contiguous()?, Op(shape))
    } else {
        reference::conv2d(x, weight, stride, padding)
    }
}

/// The convolution, by the cheapest way for its shape.
fn convolve(x: &[f32], weight: &[f32], s: &Conv2dShape) -> Vec<f32> {
    if s.is_whole() { whole::forward(x, weight, s) } else { forward::forward(x, weight, s) }
}

/// The gradient of the input. With stride 1 it is a convolution of `dy` with the flipped kernel.
fn input_gradient(dy: &[f32], weight: &[f32], s: &Conv2dShape) -> Vec<f32> {
    if s.is_whole() {
        whole::input_gradient(dy, weight, s)
    } else if let Some(adjoint) = s.adjoint() {
        convolve(dy, &backward::flipped(weight, s), &adjoint)
    } else {
        backward::input_gradient(dy, weight, s)
    }
}

/// The gradient of the weight.
fn weight_gradient(x: &[f32], dy: &[f32], s: &Conv2dShape) -> Vec<f32> {
    if s.is_whole() {
        whole::weight_gradient(x, dy, s)
    } else {
        backward::weight_gradient(x, dy, s)
    }
}

struct Op(Conv2dShape);

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let s = &self.0;
        let (x, weight) = (fast::values(x, x_layout)?, fast::values(weight, weight_layout)?);
        let y = convolve(x, weight, s);
        let shape = (s.images, s.out_channels, s.out_height, s.out_width);
        Ok((CpuStorage::F32(y), shape.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (storage, layout) = grad.storage_and_layout();
        let dy = fast::locked(&storage, layout)?;
        let dx = if x.track_op() {
            let (storage, layout) = weight.storage_and_layout();
            let weight = fast::locked(&storage, layout)?;
            let dx = input_gradient(dy, weight, &self.0);
            Some(Tensor::from_vec(dx, x.shape(), x.device())?)
        } else {
            None
        };
        let dw = if weight.track_op() {
            let (storage, layout) = x.storage_and_layout();
            let x = fast::locked(&storage, layout)?;
            let dw = weight_gradient(x, dy, &self.0);
            Some(Tensor::from_vec(dw, weight.shape(), weight.device())?)
        } else {
            None
        };
        Ok((dx, dw))
    }
}
