//! Bias, threshold and temporal max-pooling in one pass.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use stackgan_kernels::{is_fast, values};

use super::convolution::THRESHOLD;
use super::host::host;
use super::pool::Pool;
use super::reference;

/// Returns the maximum over each window of `threshold(x + bias)`, `(batch, windows, channels)`.
///
/// `x` is `(batch, time, channels)` and `bias` is `(channels)`; `threshold(v)` is v if v > 1e-6 and
/// 0 otherwise. The threshold is monotone, so it is applied after the maximum. The first of equal
/// values receives the gradient.
pub(in super::super) fn bias_threshold_pool(
    x: &Tensor,
    bias: &Tensor,
    pool: Pool,
) -> Result<Tensor> {
    if is_fast(&[x]) {
        x.contiguous()?.apply_op2(&bias.contiguous()?, BiasThresholdPool { pool })
    } else {
        reference::bias_threshold_pool(x, bias, pool)
    }
}

struct BiasThresholdPool {
    pool: Pool,
}

impl CustomOp2 for BiasThresholdPool {
    fn name(&self) -> &'static str {
        "text-bias-threshold-pool"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, time, channels) = l1.shape().dims3()?;
        let (x, bias) = (values(s1, l1)?, values(s2, l2)?);
        let steps = self.pool.steps(time);
        if bias.len() != channels || steps == 0 {
            bail!("pooling {:?}: input {:?}, bias {:?}", self.pool, l1.dims(), l2.dims());
        }
        let mut out = vec![0f32; batch * steps * channels];
        for (sample, out) in
            x.chunks_exact(time * channels).zip(out.chunks_exact_mut(steps * channels))
        {
            for (t, out) in out.chunks_exact_mut(channels).enumerate() {
                let window =
                    &sample[t * self.pool.stride * channels..][..self.pool.size * channels];
                let (first, rest) = window.split_at(channels);
                out.copy_from_slice(first);
                for row in rest.chunks_exact(channels) {
                    out.iter_mut().zip(row).for_each(|(m, &v)| *m = if v > *m { v } else { *m });
                }
                for (v, b) in out.iter_mut().zip(bias) {
                    *v += b;
                    *v = if *v > THRESHOLD { *v } else { 0.0 };
                }
            }
        }
        Ok((CpuStorage::F32(out), (batch, steps, channels).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, time, channels) = x.dims3()?;
        let steps = self.pool.steps(time);
        let (values, passed, grad) = (host(x)?, host(res)?, host(grad)?);
        let mut out = vec![0f32; values.len()];
        let mut bias_grad = vec![0f32; channels];
        let per_sample = out
            .chunks_exact_mut(time * channels)
            .zip(values.chunks_exact(time * channels))
            .zip(passed.chunks_exact(steps * channels).zip(grad.chunks_exact(steps * channels)));
        for ((out, x), (passed, grad)) in per_sample {
            for (t, (passed, grad)) in
                passed.chunks_exact(channels).zip(grad.chunks_exact(channels)).enumerate()
            {
                let start = t * self.pool.stride * channels;
                for (c, (&passed, &g)) in passed.iter().zip(grad).enumerate() {
                    if passed <= 0.0 {
                        continue;
                    }
                    bias_grad[c] += g;
                    let mut best = start + c;
                    for at in (1..self.pool.size).map(|j| start + j * channels + c) {
                        if x[at] > x[best] {
                            best = at;
                        }
                    }
                    out[best] += g;
                }
            }
        }
        let x_grad = Tensor::from_vec(out, x.shape(), x.device())?;
        Ok((Some(x_grad), Some(Tensor::from_vec(bias_grad, bias.shape(), bias.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_differences, assert_twins, random};
    use super::*;

    #[test]
    fn pooling_equals_its_twin_and_differences() -> Result<()> {
        let (x, bias) = (random(0, &[2, 8, 5])?, random(1, &[5])?);
        for (size, stride) in [(3, 3), (3, 2), (1, 1)] {
            let pool = Pool { size, stride };
            let fast = || bias_threshold_pool(&x, &bias, pool);
            assert_twins(fast, || reference::bias_threshold_pool(&x, &bias, pool), &[&x, &bias])?;
            assert_differences(fast, &[&x, &bias])?;
        }
        Ok(())
    }

    #[test]
    fn the_threshold_is_a_millionth_and_a_remainder_is_dropped() -> Result<()> {
        let device = candle_core::Device::Cpu;
        let x = Tensor::new(&[1e-6f32, 1e-7, -3.0, 1.1e-6, 0.0, 0.0, 9.0], &device)?
            .reshape((1, 7, 1))?;
        let bias = Tensor::zeros(1, candle_core::DType::F32, &device)?;
        let y = bias_threshold_pool(&x, &bias, Pool { size: 3, stride: 3 })?;
        assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [0.0, 1.1e-6]);
        Ok(())
    }
}
