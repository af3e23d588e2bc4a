//! Fully connected layers.

use candle_core::{Result, Tensor, bail};

use crate::vectorised::vectorised;
use crate::written::written;
use crate::{fast, reference};

/// Smallest number of weights at which reading them dominates the time of a layer.
const MANY: usize = 1 << 21;
/// Number of outputs per parallel task.
const CHUNK: usize = 64;

/// Returns `x Wᵀ + b` for `x (N, in)`, `weight (out, in)` and `bias (out)`, with shape `(N, out)`.
///
/// candle's matrix product is fast, so most layers use it. It multiplies few rows on one thread,
/// however. A large layer without gradients (such as a generator's first layer in sampling)
/// therefore has a fast form in which all threads read the weights. In that form the result of a
/// row does not depend on the number of rows.
///
/// # Errors
/// Wrong ranks or sizes; the message contains the shapes.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let fits = match (x.dims(), weight.dims()) {
        ([_, a], [out, b]) => a == b && bias.is_none_or(|bias| bias.dims() == [*out]),
        _ => false,
    };
    if !fits {
        bail!(
            "linear: input {:?} does not fit weight {:?} and bias {:?}",
            x.dims(),
            weight.dims(),
            bias.map(Tensor::dims)
        );
    }
    let large = weight.elem_count() >= MANY && !x.track_op() && !weight.track_op();
    if !large || !fast::applies(&[x, weight]) {
        return reference::linear(x, weight, bias);
    }
    let y = products(x, weight)?;
    match bias {
        None => Ok(y),
        Some(bias) => y.broadcast_add(bias),
    }
}

/// Returns `x Wᵀ`. Each dot product is summed in a fixed order.
fn products(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let ((rows, length), outs) = (x.dims2()?, weight.dim(0)?);
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let (x_storage, x_layout) = x.storage_and_layout();
    let (weight_storage, weight_layout) = weight.storage_and_layout();
    let values = fast::locked(&x_storage, x_layout)?;
    let weights = fast::locked(&weight_storage, weight_layout)?;
    let y = written(outs * rows, CHUNK * rows, |i, y| {
        let weights = weights.chunks_exact(length).skip(i * CHUNK);
        for (y, weights) in y.chunks_exact_mut(rows).zip(weights) {
            for (y, x) in y.iter_mut().zip(values.chunks_exact(length)) {
                *y = product(weights, x);
            }
        }
    });
    Tensor::from_vec(y, (outs, rows), x.device())?.t()?.contiguous()
}

vectorised! {
    fn product(a: &[f32], b: &[f32]) -> f32 {
        const LANES: usize = 64;
        let mut sums = [0.0_f32; LANES];
        let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
        for (a, b) in a.zip(b) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += a * b;
            }
        }
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
            half /= 2;
        }
        sums[0] + rest
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    #[test]
    fn a_large_layer_is_the_plain_one_and_each_row_the_same_alone() {
        let wave = |n: usize, a: f32| (0..n).map(|i| (i as f32 * a).sin()).collect::<Vec<_>>();
        let (outs, length) = (9000, 235);
        let device = Device::Cpu;
        let x = Tensor::from_vec(wave(5 * length, 0.7), (5, length), &device).unwrap();
        let weight = Tensor::from_vec(wave(outs * length, 0.3), (outs, length), &device).unwrap();
        let bias = Tensor::from_vec(wave(outs, 1.1), outs, &device).unwrap();
        let y = linear(&x, &weight, Some(&bias)).unwrap();
        let exact = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let plain = reference::linear(&exact(&x), &exact(&weight), Some(&exact(&bias))).unwrap();
        let far = (exact(&y) - plain).unwrap().abs().unwrap().max_all().unwrap();
        assert!(far.to_scalar::<f64>().unwrap() < 1e-5, "{far}");
        let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for row in 0..5 {
            let alone = linear(&x.narrow(0, row, 1).unwrap(), &weight, Some(&bias)).unwrap();
            assert_eq!(values(alone), values(y.narrow(0, row, 1).unwrap()));
        }
        let trained = Var::from_tensor(&weight).unwrap();
        let loss = linear(&x, &trained, Some(&bias)).unwrap().sum_all().unwrap();
        assert!(loss.backward().unwrap().get(&trained).is_some());
    }
}
