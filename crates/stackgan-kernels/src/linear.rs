//! Fully connected layers.

use candle_core::{Result, Tensor, bail};

use crate::product::product_with_rows;
use crate::vectorised::vectorised;
use crate::written::written;
use crate::{fast, reference};

/// Number of outputs per parallel task.
const CHUNK: usize = 64;

/// Returns `x Wᵀ + b` for `x (N, in)`, `weight (out, in)` and `bias (out)`, with shape `(N, out)`.
///
/// On a CPU the bits of a row of `f32` do not depend on the number of rows. A layer without
/// gradients, as in sampling, has a form of its own, which reads each weight once and packs none.
///
/// # Errors
/// Wrong ranks or sizes, and inputs of width 0; the message contains the shapes.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let fits = match (x.dims(), weight.dims()) {
        ([_, a], [out, b]) => *a > 0 && a == b && bias.is_none_or(|bias| bias.dims() == [*out]),
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
    if !fast::applies(&[x, weight]) {
        return reference::linear(x, weight, bias);
    }
    let y = if x.track_op() || weight.track_op() {
        product_with_rows(x, weight)?
    } else {
        products(x, weight)?
    };
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

    /// A large layer, as wide as a generator's first one; small ones, as in the networks for toy
    /// birds; odd ones.
    #[test]
    fn a_layer_is_the_plain_one_and_each_row_the_same_alone_and_among_others() {
        let wave = |n: usize, a: f32| (0..n).map(|i| (i as f32 * a).sin()).collect::<Vec<_>>();
        let device = Device::Cpu;
        for (outs, length) in [(9000, 235), (2048, 48), (64, 128), (32, 100), (7, 3)] {
            let x = Tensor::from_vec(wave(20 * length, 0.7), (20, length), &device).unwrap();
            let weight =
                Tensor::from_vec(wave(outs * length, 0.3), (outs, length), &device).unwrap();
            let bias = Tensor::from_vec(wave(outs, 1.1), outs, &device).unwrap();
            let y = linear(&x, &weight, Some(&bias)).unwrap();
            let exact = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
            let plain =
                reference::linear(&exact(&x), &exact(&weight), Some(&exact(&bias))).unwrap();
            let far = (exact(&y) - plain).unwrap().abs().unwrap().max_all().unwrap();
            assert!(far.to_scalar::<f64>().unwrap() < 1e-5, "{outs} {length}: {far}");
            let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (from, rows) in [(0, 1), (4, 1), (0, 2), (3, 3), (2, 16)] {
                let few = linear(&x.narrow(0, from, rows).unwrap(), &weight, Some(&bias)).unwrap();
                let among = y.narrow(0, from, rows).unwrap();
                assert_eq!(values(few), values(among), "{outs} {length}, {rows} rows");
            }
        }
        let wide =
            |rows, length| Tensor::from_vec(wave(rows * length, 0.7), (rows, length), &device);
        let (x, weight, bias) = (
            wide(5, 8).unwrap(),
            wide(6, 8).unwrap(),
            Tensor::ones(6, DType::F32, &device).unwrap(),
        );
        assert!(linear(&wide(5, 0).unwrap(), &wide(6, 0).unwrap(), None).is_err());
        for (rows, outs) in [(0, 6), (5, 0)] {
            let y = linear(&wide(rows, 8).unwrap(), &wide(outs, 8).unwrap(), None).unwrap();
            assert_eq!(y.dims(), [rows, outs]);
        }
        let trained = Var::from_tensor(&weight).unwrap();
        let loss = linear(&x, &trained, Some(&bias)).unwrap().sum_all().unwrap();
        assert!(loss.backward().unwrap().get(&trained).is_some());
    }
}
