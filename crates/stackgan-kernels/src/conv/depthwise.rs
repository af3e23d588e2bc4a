//! Convolution of every channel with a kernel of its own, forward only: what image classifiers for phones are made of.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::columns::Columns;
use crate::geometry::{Conv2dShape, Padding};
use crate::vectorised::vectorised;
use crate::{fast, reference, scratch};

/// Convolves each channel of `x (N, C, H, W)` with its kernel of `weight (C, 1, kh, kw)`, without bias: `(N, C, H', W')`,
/// sizes as those of [`crate::conv2d`]. The fast form has no gradient.
///
/// # Errors
/// Wrong ranks, channels that do not match, stride 0, a kernel larger than the padded input: with the shapes.
pub fn depthwise_conv2d(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: impl Into<Padding>,
) -> Result<Tensor> {
    let padding = padding.into();
    let shape = Conv2dShape::depthwise(x, weight, stride, padding)?;
    if fast::applies(&[x, weight]) {
        x.contiguous()?.apply_op2_no_bwd(&weight.contiguous()?, &Op(shape))
    } else {
        reference::depthwise_conv2d(x, weight, stride, padding)
    }
}

struct Op(Conv2dShape);

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
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
        let channels = weight.len() / s.taps();
        let columns = Columns::new(s);
        let mut y = vec![0.; s.images * channels * s.out_pixels()];
        y.par_chunks_mut(s.out_pixels()).zip(x.par_chunks(s.in_pixels())).enumerate().for_each(
            |(i, (y, x))| {
                let kernel = &weight[i % channels * s.taps()..][..s.taps()];
                scratch::with([columns.phases(s.out_height)], |[phases]| {
                    convolve_plane(y, x, kernel, columns, phases);
                });
            },
        );
        let shape = (s.images, channels, s.out_height, s.out_width);
        Ok((CpuStorage::F32(y), shape.into()))
    }
}

vectorised! {
    /// One plane; `y` starts as zeros. Sums run over the taps, row by row of the kernel.
    fn convolve_plane(
        y: &mut [f32],
        x: &[f32],
        kernel: &[f32],
        columns: Columns,
        phases: &mut [f32],
    ) {
        let s = columns.shape;
        columns.split(x, 0..s.out_height, phases);
        let padded_rows = columns.padded_rows(s.out_height);
        for (r, out) in y.chunks_exact_mut(s.out_width).enumerate() {
            for i in 0..s.kernel_height {
                for j in 0..s.kernel_width {
                    let factor = kernel[i * s.kernel_width + j];
                    let start = columns.tap(i, j, padded_rows) + r * s.stride * columns.run;
                    let from = &phases[start..][..s.out_width];
                    out.iter_mut().zip(from).for_each(|(out, v)| *out += factor * v);
                }
            }
        }
    }
}
