//! Batch normalisation compared with its reference in f64.

use candle_core::{DType, Tensor};
use proptest::prelude::*;
use stackgan_kernels::{Activation, Maps, Statistics, reference};

use crate::common::{OF_BATCH, assert_close, assert_twins, norm, normal, plain, running, values};

const EPS: f64 = 1e-5;

fn inputs(shape: &[usize]) -> [Tensor; 3] {
    let c = shape[1];
    let x = (normal(shape, 20).affine(1.7, 0.6)).unwrap();
    [x, normal(c, 21), normal(c, 22)]
}

fn check(shape: &[usize], activation: Activation) {
    let what = format!("{shape:?} {activation:?}");
    let all = inputs(shape);
    let own = running(shape[1]);
    assert_twins(
        &what,
        &all,
        |t| norm(&t[1], &t[2], &own, EPS, activation).apply(&t[0], OF_BATCH),
        |t| Ok(reference::batch_norm_train(&t[0], &t[1], &t[2], EPS, activation)?.0),
    );
    let [x, gamma, beta] = all.each_ref().map(|t| t.to_dtype(DType::F64).unwrap());
    let (_, expected) = reference::batch_norm_train(&x, &gamma, &beta, EPS, activation).unwrap();
    let [mean, variance] = &own;
    assert_close(mean, &expected.mean, 1e-6, &what);
    assert_close(variance, &expected.variance, 1e-6, &what);
    assert_eq!(expected.count, all[0].elem_count() / shape[1]);

    let given = running(shape[1]);
    let [mean, variance] = given.each_ref().map(|t| t.to_dtype(DType::F64).unwrap());
    assert_twins(
        &format!("{what} eval"),
        &all,
        |t| norm(&t[1], &t[2], &given, 0.1, activation).apply(&t[0], Statistics::Running),
        |t| {
            let statistics = (&mean, &variance);
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
        check(&[300, 7], activation);
        check(&[3, 5, 4, 4], activation);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_shape(n in 8usize..90, c in 1usize..340) {
        check(&[n, c], Activation::LeakyRelu(0.2));
    }
}

/// The mean is a hundred thousand deviations from zero: plain sums of squares would cancel.
#[test]
fn a_far_mean_does_not_spoil_the_variance() {
    let x = normal((256, 2), 25).affine(1., 1e5).unwrap();
    let (one, zero, own) =
        (Tensor::ones(2, DType::F32, x.device()).unwrap(), normal(2, 26), running(2));
    norm(&one, &zero, &own, EPS, Activation::Identity).apply(&x, OF_BATCH).unwrap();
    let [x, one, zero] = [&x, &one, &zero].map(|t| t.to_dtype(DType::F64).unwrap());
    let (_, expected) =
        reference::batch_norm_train(&x, &one, &zero, EPS, Activation::Identity).unwrap();
    assert_close(&own[1], &expected.variance, 1e-6, "variance");
}

#[test]
fn nan_is_not_hidden() {
    let (c, own) = (normal(3, 28), running(3));
    let nan = (normal((8, 3), 27) * f64::NAN).unwrap();
    let y = norm(&c, &c, &own, EPS, Activation::Relu).apply(&nan, OF_BATCH).unwrap();
    assert!(values(&y).iter().all(|v| v.is_nan()));
}

/// Its variance would be 0, and the result beta whatever it is.
#[test]
fn a_single_value_per_channel_is_refused() {
    let (c, own) = (normal(3, 32), running(3));
    let norm = norm(&c, &c, &own, EPS, Activation::Relu);
    let (one, two) = (normal((1, 3), 33), normal((2, 3), 33));
    let (pixel, weight) = (normal((1, 3, 1, 1), 33), normal((3, 3, 1, 1), 34));
    let maps = |by| Maps::enter(&pixel)?.conv_norm(&weight, plain(1, 0), &norm, by)?.leave();
    let wide = one.to_dtype(DType::F64).unwrap();
    for result in [
        norm.apply(&one, OF_BATCH),
        norm.apply(&two, Statistics::OfBatch { parts: 2 }),
        norm.apply(&pixel, OF_BATCH),
        norm.apply(&wide, OF_BATCH),
        maps(OF_BATCH),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("two values per channel or more"), "{error}");
    }
    assert!(norm.apply(&two, OF_BATCH).is_ok());
    assert!(norm.apply(&one, Statistics::Running).is_ok() && maps(Statistics::Running).is_ok());
}

#[test]
fn wrong_tensors_are_errors_with_their_shapes() {
    for x in [normal((2, 3, 4, 4), 29), normal((8, 3), 29)] {
        let (c, bad, own) = (normal(3, 30), normal(4, 31), [running(3), running(4)]);
        let of = |beta, own| norm(&c, beta, own, EPS, Activation::Identity);
        let error = of(&bad, &own[0]).apply(&x, OF_BATCH).unwrap_err().to_string();
        assert!(error.contains("3 channels, beta has shape [4]"), "{error}");
        let error = of(&c, &own[1]).apply(&x, Statistics::Running).unwrap_err().to_string();
        assert!(error.contains("3 channels, running_mean has shape [4]"), "{error}");
        assert!(of(&c, &own[0]).apply(&x.narrow(0, 0, 0).unwrap(), OF_BATCH).is_err());
        assert!(of(&c, &own[0]).apply(&c, OF_BATCH).is_err());
    }
}
