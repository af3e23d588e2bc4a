//! Random tensors, gradients of a weighted sum, and comparisons.

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use stackgan_kernels::{Activation, Filter, Maps, Norm, Padding, Statistics};
use stackgan_noise::{Noise, Stream};

/// Returns standard normal values as a pure function of shape and `sample`.
pub(crate) fn normal(shape: impl Into<Shape>, sample: u64) -> Tensor {
    let shape = shape.into();
    let values = Noise::new(11).normal(Stream::Test, 0, sample, shape.elem_count());
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A result and the gradients of its sum with fixed random weights.
pub(crate) struct Outcome {
    pub(crate) y: Tensor,
    pub(crate) gradients: Vec<Tensor>,
}

/// Evaluates `f` on variables made from `inputs`, in `dtype`.
pub(crate) fn outcome(
    inputs: &[Tensor],
    dtype: DType,
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Outcome {
    let vars: Vec<Var> =
        inputs.iter().map(|t| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&tensors).unwrap();
    let weights = normal(y.shape(), 999).to_dtype(dtype).unwrap();
    let grads = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
    let gradients = tensors.iter().map(|t| grads.get(t).unwrap().clone()).collect();
    Outcome { y, gradients }
}

/// Returns a convolution with equal padding on every side.
pub(crate) const fn plain(stride: usize, padding: usize) -> Filter {
    Filter::Plain { stride, padding: Padding::symmetric(padding, padding) }
}

/// Convolves a tensor as maps.
pub(crate) fn conv(x: &Tensor, weight: &Tensor, filter: Filter) -> Result<Tensor> {
    Maps::enter(x)?.conv(weight, filter)?.leave()
}

/// Up-samples a tensor by two and convolves it by 3x3, as maps.
pub(crate) fn up_conv(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    conv(x, weight, Filter::Up)
}

/// Statistics of the batch itself.
pub(crate) const OF_BATCH: Statistics = Statistics::OfBatch { parts: 1 };

/// Returns a batch norm whose running statistics become those of the last batch.
pub(crate) const fn norm<'a>(
    gamma: &'a Tensor,
    beta: &'a Tensor,
    [running_mean, running_var]: &'a [Var; 2],
    eps: f64,
    activation: Activation,
) -> Norm<'a> {
    let (momentum, unbiased) = (1.0, false);
    Norm { gamma, beta, running_mean, running_var, momentum, unbiased, eps, activation }
}

/// Returns running statistics of `channels`.
pub(crate) fn running(channels: usize) -> [Var; 2] {
    [normal(channels, 23), normal(channels, 24).sqr().unwrap()]
        .map(|t| Var::from_tensor(&t).unwrap())
}

/// Returns all values as f64.
pub(crate) fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Returns all values as bits.
pub(crate) fn bits(t: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

/// Asserts that two tensors agree to `tolerance` times the largest value.
pub(crate) fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (values(found), values(expected));
    let scale = expected.iter().fold(1e-3_f64, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!((f - e).abs() <= tolerance * scale, "{what}: element {i}: {f} for {e} of {scale}");
    }
}

/// Asserts that a fast form in f32 agrees with its reference in f64, forward and backward.
pub(crate) fn assert_twins(
    what: &str,
    inputs: &[Tensor],
    fast: impl Fn(&[Tensor]) -> Result<Tensor>,
    twin: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    // The rounding of f32 is 6e-8; the longest sums here have a few thousand terms.
    const TOLERANCE: f64 = 1e-5;
    let found = outcome(inputs, DType::F32, fast);
    let expected = outcome(inputs, DType::F64, twin);
    assert_close(&found.y, &expected.y, TOLERANCE, &format!("{what}: result"));
    let pairs = found.gradients.iter().zip(&expected.gradients);
    for (i, (found, expected)) in pairs.enumerate() {
        assert_close(found, expected, TOLERANCE, &format!("{what}: gradient {i}"));
    }
}
