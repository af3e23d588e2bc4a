//! Activations, up-sampling and fully connected layers.

use candle_core::{DType, Device, Tensor, Var};
use stackgan_kernels::{Activation, activate, linear, reference};

use crate::common::{assert_twins, bits, normal, values};

#[test]
fn activations_and_their_gradients() {
    for activation in [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.2)] {
        assert_twins(
            &format!("{activation:?}"),
            &[normal((3, 7, 41), 40)],
            |t| activate(&t[0], activation),
            |t| reference::activate(&t[0], activation),
        );
    }
}

/// Compares with `torch`'s values: 0 for relu, the slope for leaky relu; also at negative zero.
#[test]
fn derivative_at_zero() {
    for dtype in [DType::F32, DType::F64] {
        for (activation, expected) in [(Activation::Relu, 0.), (Activation::LeakyRelu(0.25), 0.25)]
        {
            let x = Tensor::new(&[0f32, -0., 2., -2.], &Device::Cpu).unwrap();
            let x = Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap();
            let grads = activate(&x, activation).unwrap().sum_all().unwrap().backward().unwrap();
            assert_eq!(values(grads.get(&x).unwrap()), [expected, expected, 1., expected]);
        }
    }
}

#[test]
fn nan_passes_through() {
    let x = Tensor::new(&[f32::NAN, 1.], &Device::Cpu).unwrap();
    for f in [activate, reference::activate] {
        for activation in [Activation::Relu, Activation::LeakyRelu(0.2)] {
            assert!(values(&f(&x, activation).unwrap())[0].is_nan());
        }
    }
}

#[test]
fn upsampling_by_hand() {
    let x = Tensor::new(&[[[[1f32, 2.], [3., 4.]]]], &Device::Cpu).unwrap();
    let expected = [1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.];
    assert_eq!(values(&reference::upsample2x(&x).unwrap()), expected);
}

/// candle 0.11.1's own up-sampling gives 4 for the first of these.
#[test]
fn gradient_of_a_tensor_that_is_upsampled_and_used() {
    let x = Var::from_tensor(&normal((1, 1, 2, 2), 42)).unwrap();
    let up = |x: &Tensor| reference::upsample2x(x).unwrap().sum_all().unwrap();
    let ten = |x: &Tensor| (x.sum_all().unwrap() * 10.).unwrap();
    for sum in [(up(&x) + ten(&x)).unwrap(), (ten(&x) + up(&x)).unwrap()] {
        let grads = sum.backward().unwrap();
        assert_eq!(values(grads.get(&x).unwrap()), [14.; 4]);
    }
}

#[test]
fn linear_by_hand() {
    let x = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu).unwrap();
    let w = Tensor::new(&[[1f32, 0.], [1., 1.], [0., 2.]], &Device::Cpu).unwrap();
    let b = Tensor::new(&[10f32, 20., 30.], &Device::Cpu).unwrap();
    assert_eq!(values(&linear(&x, &w, Some(&b)).unwrap()), [11., 23., 34., 13., 27., 38.]);
    assert_eq!(values(&linear(&x, &w, None).unwrap()), [1., 3., 4., 3., 7., 8.]);
    for (x, w, b) in [(&x, &x, Some(&b)), (&x, &b, None), (&w, &w.t().unwrap(), None)] {
        assert!(linear(x, w, b).unwrap_err().to_string().contains("linear"));
    }
    assert_eq!(bits(&linear(&x, &w, None).unwrap()).len(), 6);
}
