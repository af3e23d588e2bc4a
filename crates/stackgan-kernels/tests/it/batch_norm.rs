//! Batch normalisation compared with its reference in f64.

use candle_core::{DType, Tensor};
use proptest::prelude::*;
use stackgan_kernels::{Activation, batch_norm_eval, batch_norm_train, reference};

use crate::common::{assert_close, assert_twins, normal, values};

const EPS: f64 = 1e-5;

fn inputs(shape: &[usize]) -> [Tensor; 3] {
    let c = shape[1];
    let x = (normal(shape, 20).affine(1.7, 0.6)).unwrap();
    [x, normal(c, 21), normal(c, 22)]
}

fn check(shape: &[usize], activation: Activation) {
    let what = format!("{shape:?} {activation:?}");
    let all = inputs(shape);
    assert_twins(
        &what,
        &all,
        |t| Ok(batch_norm_train(&t[0], &t[1], &t[2], EPS, activation)?.0),
        |t| Ok(reference::batch_norm_train(&t[0], &t[1], &t[2], EPS, activation)?.0),
    );
    let (_, found) = batch_norm_train(&all[0], &all[1], &all[2], EPS, activation).unwrap();
    let x = all[0].to_dtype(DType::F64).unwrap();
    let [gamma, beta] = [1, 2].map(|i| all[i].to_dtype(DType::F64).unwrap());
    let (_, expected) = reference::batch_norm_train(&x, &gamma, &beta, EPS, activation).unwrap();
    assert_close(&found.mean, &expected.mean, 1e-6, &what);
    assert_close(&found.variance, &expected.variance, 1e-6, &what);
    assert_eq!(found.count, expected.count);
    assert_eq!(found.count, all[0].elem_count() / shape[1]);

    let (mean, variance) = (normal(shape[1], 23), normal(shape[1], 24).sqr().unwrap());
    let [mean64, variance64] = [&mean, &variance].map(|t| t.to_dtype(DType::F64).unwrap());
    assert_twins(
        &format!("{what} eval"),
        &all,
        |t| batch_norm_eval(&t[0], &t[1], &t[2], &mean, &variance, 0.1, activation),
        |t| {
            let statistics = (&mean64, &variance64);
            reference::batch_norm_eval(&t[0], &t[1], &t[2], statistics, 0.1, activation)
        },
    );
}

#[test]
fn all_activations_and_ranks() {
    use Activation::{Identity, LeakyRelu, Relu};
    for activation in [Identity, Relu, LeakyRelu(0.2), LeakyRelu(-0.5)] {
        check(&[4, 5], activation);
        check(&[9, 600], activation);
        check(&[3, 5, 4, 4], activation);
        check(&[6, 33, 1, 1], activation);
        check(&[2, 3, 70, 90], activation);
        check(&[5, 4, 3, 7], activation);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_shape(n in 2usize..6, c in 1usize..34, h in 2usize..10, w in 1usize..10) {
        check(&[n, c, h, w], Activation::LeakyRelu(0.2));
    }
}

/// The mean is a hundred thousand deviations from zero: plain sums of squares would cancel.
#[test]
fn a_far_mean_does_not_spoil_the_variance() {
    let x = normal((4, 2, 8, 8), 25).affine(1., 1e5).unwrap();
    let (one, zero) = (Tensor::ones(2, DType::F32, x.device()).unwrap(), normal(2, 26));
    let (_, found) = batch_norm_train(&x, &one, &zero, EPS, Activation::Identity).unwrap();
    let [x, one, zero] = [&x, &one, &zero].map(|t| t.to_dtype(DType::F64).unwrap());
    let (_, expected) =
        reference::batch_norm_train(&x, &one, &zero, EPS, Activation::Identity).unwrap();
    assert_close(&found.variance, &expected.variance, 1e-6, "variance");
}

#[test]
fn statistics_are_outside_the_graph_and_nan_is_not_hidden() {
    let x = candle_core::Var::from_tensor(&normal((2, 3, 2, 2), 27)).unwrap();
    let c = normal(3, 28);
    let (y, statistics) = batch_norm_train(&x, &c, &c, EPS, Activation::Relu).unwrap();
    assert!(y.track_op() && !statistics.mean.track_op() && !statistics.variance.track_op());
    let nan = (x.as_tensor() * f64::NAN).unwrap();
    let (y, _) = batch_norm_train(&nan, &c, &c, EPS, Activation::Relu).unwrap();
    assert!(values(&y).iter().all(|v| v.is_nan()));
}

#[test]
fn wrong_tensors_are_errors_with_their_shapes() {
    let (x, c) = (normal((2, 3, 4, 4), 29), normal(3, 30));
    let bad = normal(4, 31);
    let activation = Activation::Identity;
    let error = batch_norm_train(&x, &c, &bad, EPS, activation).unwrap_err().to_string();
    assert!(error.contains("[2, 3, 4, 4]") && error.contains("beta") && error.contains("[4]"));
    let error = batch_norm_eval(&x, &c, &c, &bad, &c, EPS, activation).unwrap_err().to_string();
    assert!(error.contains("mean"));
    assert!(batch_norm_train(&x.narrow(0, 0, 0).unwrap(), &c, &c, EPS, activation).is_err());
    assert!(batch_norm_train(&c, &c, &c, EPS, activation).is_err());
}
