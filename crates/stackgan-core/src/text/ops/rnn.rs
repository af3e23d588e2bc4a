//! The ReLU recurrence as one operation over all steps. Source: icml2016 `modules/FixedRNN.lua`.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use stackgan_kernels::{Multiplier, is_fast, product, values};

use super::host::host;
use super::recurrent::{check, column_sums};
use super::reference;

/// Returns the states `(time, batch, units)` of `h_t = relu(x_t + W h_(t-1) + b)`, whose first step
/// is `relu(x_1)`.
///
/// `x (time, batch, units)` contains the input terms with their bias; the hidden ones are
/// `weight (units, units)` and `bias (units)`.
pub(in super::super) fn rnn(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if is_fast(&[x]) {
        x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Rnn)
    } else {
        reference::rnn(x, weight, bias)
    }
}

struct Rnn;

impl CustomOp3 for Rnn {
    fn name(&self) -> &'static str {
        "text-rnn"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, batch, units) = check(1, l1.dims(), l2.dims(), l3.dims())?;
        let (x, bias) = (values(s1, l1)?, values(s3, l3)?);
        let weight = Tensor::from_slice(values(s2, l2)?, (units, units), &Device::Cpu)?;
        let hidden = Multiplier::new(&weight.t()?)?;
        let mut states: Vec<f32> = Vec::with_capacity(x.len());
        for (t, x) in x.chunks_exact(batch * units).enumerate() {
            if t == 0 {
                states.extend(x.iter().map(|&v| if v > 0.0 { v } else { 0.0 }));
                continue;
            }
            let hidden = hidden.multiply(&states[states.len() - batch * units..]);
            let biases = bias.iter().cycle();
            states.extend(x.iter().zip(&hidden).zip(biases).map(|((x, h), b)| {
                let v = x + (h + b);
                if v > 0.0 { v } else { 0.0 }
            }));
        }
        Ok((CpuStorage::F32(states), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (time, batch, units) = check(1, x.dims(), weight.dims(), bias.dims())?;
        let (block, weight, res) = (batch * units, weight.detach(), res.detach());
        let from_hidden = Multiplier::new(&weight)?;
        let states = host(&res)?;
        // Becomes the gradient of the sums under the relu, from the last step back.
        let mut sums = host(grad)?;
        for t in (0..time).rev() {
            let (earlier, now) = sums.split_at_mut(t * block);
            let now = &mut now[..block];
            now.iter_mut().zip(&states[t * block..]).for_each(|(g, &h)| {
                if h <= 0.0 {
                    *g = 0.0;
                }
            });
            if t > 0 {
                let before = from_hidden.multiply(now);
                earlier[(t - 1) * block..].iter_mut().zip(before).for_each(|(g, v)| *g += v);
            }
        }
        let bias_grad = Tensor::from_vec(column_sums(&sums[block..], units), units, &Device::Cpu)?;
        let sums = Tensor::from_vec(sums, (time, batch, units), &Device::Cpu)?;
        let weight_grad = if time == 1 {
            weight.zeros_like()?
        } else {
            let later = sums.narrow(0, 1, time - 1)?.reshape(((), units))?;
            product(&later.t()?, &res.narrow(0, 0, time - 1)?.reshape(((), units))?)?
        };
        Ok((Some(sums), Some(weight_grad), Some(bias_grad)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_differences, assert_twins, random};
    use super::*;

    #[test]
    fn the_rnn_equals_its_twin_and_differences() -> Result<()> {
        for time in [1, 4] {
            let (x, w, b) = (random(0, &[time, 3, 5])?, random(1, &[5, 5])?, random(2, &[5])?);
            let vars: &[_] = if time == 1 { &[&x] } else { &[&x, &w, &b] };
            assert_twins(|| rnn(&x, &w, &b), || reference::rnn(&x, &w, &b), vars)?;
            assert_differences(|| rnn(&x, &w, &b), &[&x, &w, &b])?;
        }
        let (x, w, b) = (random(0, &[2, 3, 14])?, random(1, &[15, 5])?, random(2, &[15])?);
        assert!(rnn(&x, &w, &b).is_err());
        Ok(())
    }
}
