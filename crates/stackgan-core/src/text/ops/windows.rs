//! Concatenation of four consecutive rows, which turns a temporal convolution into a matrix
//! product.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use stackgan_kernels::{is_fast, values};

use super::convolution::KERNEL;
use super::host::host;
use super::reference;

/// Maps `(batch, time, channels)` to `(batch, time - 3, 4 channels)`: row t of the result is the
/// concatenation of rows t to t + 3.
pub(in super::super) fn windows(x: &Tensor) -> Result<Tensor> {
    if is_fast(&[x]) { x.contiguous()?.apply_op1(Windows) } else { reference::windows(x) }
}

struct Windows;

impl CustomOp1 for Windows {
    fn name(&self) -> &'static str {
        "text-windows"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, time, channels) = layout.shape().dims3()?;
        let Some(steps) = (time + 1).checked_sub(KERNEL).filter(|&steps| steps > 0) else {
            bail!("a sequence of {time} steps is shorter than the kernel of {KERNEL}");
        };
        let mut out = Vec::with_capacity(batch * steps * KERNEL * channels);
        for sample in values(storage, layout)?.chunks_exact(time * channels) {
            for row in sample.windows(KERNEL * channels).step_by(channels) {
                out.extend_from_slice(row);
            }
        }
        Ok((CpuStorage::F32(out), (batch, steps, KERNEL * channels).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, time, channels) = x.dims3()?;
        let (_, steps, width) = grad.dims3()?;
        let grad = host(grad)?;
        let mut out = vec![0f32; x.elem_count()];
        for (sample, grad) in
            out.chunks_exact_mut(time * channels).zip(grad.chunks_exact(steps * width))
        {
            for (t, row) in grad.chunks_exact(width).enumerate() {
                let start = t * channels;
                sample[start..start + width].iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
            }
        }
        Tensor::from_vec(out, x.shape(), x.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_differences, assert_twins, random};
    use super::*;

    #[test]
    fn windows_equal_their_twin_and_differences() -> Result<()> {
        let x = random(0, &[2, 9, 3])?;
        assert_twins(|| windows(&x), || reference::windows(&x), &[&x])?;
        assert_differences(|| windows(&x), &[&x])?;
        assert!(windows(&x.narrow(1, 0, 3)?).is_err());
        Ok(())
    }
}
