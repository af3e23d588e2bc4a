//! Gradients of the references compared with central differences, in f64. Together with the
//! equality tests this connects the fast forms to the definition.

use candle_core::{DType, Result, Tensor};
use stackgan_kernels::{Activation, reference};

use crate::common::{normal, outcome, values};

fn check(what: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    const STEP: f64 = 1e-5;
    let found = outcome(inputs, DType::F64, &f);
    let weights = values(&normal(found.y.shape(), 999));
    let loss = |inputs: &[Tensor]| -> f64 {
        values(&f(inputs).unwrap()).iter().zip(&weights).map(|(y, w)| y * w).sum()
    };
    let inputs: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    for (i, gradient) in found.gradients.iter().enumerate() {
        let point = values(&inputs[i]);
        for (j, gradient) in values(gradient).into_iter().enumerate() {
            let at = |step: f64| {
                let mut moved = point.clone();
                moved[j] += step;
                let mut all = inputs.clone();
                all[i] = Tensor::from_vec(moved, inputs[i].shape(), inputs[i].device()).unwrap();
                loss(&all)
            };
            let expected = (at(STEP) - at(-STEP)) / (2. * STEP);
            let allowed = 1e-6 * expected.abs().max(1.);
            assert!(
                (gradient - expected).abs() < allowed,
                "{what}: gradient {i}[{j}] is {gradient}, differences give {expected}"
            );
        }
    }
}

#[test]
fn convolutions() {
    for (x, w, stride, padding) in [
        ((2, 2, 5, 4), (3, 2, 3, 3), 1, 1),
        ((1, 2, 6, 6), (2, 2, 4, 4), 2, 1),
        ((2, 2, 5, 6), (2, 2, 3, 2), 2, 1),
        ((2, 3, 1, 9), (2, 3, 1, 4), 1, 0),
        ((2, 2, 4, 4), (1, 2, 4, 4), 4, 0),
    ] {
        let inputs = [normal(x, 50), normal(w, 51)];
        check("conv2d", &inputs, |t| reference::conv2d(&t[0], &t[1], stride, padding));
    }
    let inputs = [normal((2, 2, 3, 2), 52), normal((2, 2, 3, 3), 53)];
    check("up-block", &inputs, |t| reference::upsample2x_conv3x3(&t[0], &t[1]));
    check("upsample2x", &inputs[..1], |t| reference::upsample2x(&t[0]));
}

#[test]
fn batch_norms() {
    for activation in [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.2)] {
        for x in [normal((5, 3), 54), normal((2, 3, 2, 3), 55)] {
            let inputs = [x, normal(3, 56), normal(3, 57)];
            check("batch_norm_train", &inputs, |t| {
                Ok(reference::batch_norm_train(&t[0], &t[1], &t[2], 1e-5, activation)?.0)
            });
            let mean = normal(3, 58).to_dtype(DType::F64).unwrap();
            let variance = mean.sqr().unwrap();
            check("batch_norm_eval", &inputs, |t| {
                let statistics = (&mean, &variance);
                reference::batch_norm_eval(&t[0], &t[1], &t[2], statistics, 0.1, activation)
            });
        }
        check("activate", &[normal(20, 59)], |t| reference::activate(&t[0], activation));
    }
}

#[test]
fn fully_connected() {
    let inputs = [normal((3, 4), 60), normal((2, 4), 61), normal(2, 62)];
    check("linear", &inputs, |t| reference::linear(&t[0], &t[1], Some(&t[2])));
}
