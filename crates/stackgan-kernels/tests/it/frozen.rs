//! A frozen argument has no gradient, and the gradients of the others do not change.

use candle_core::{Result, Tensor, Var};
use stackgan_kernels::Activation;

use crate::common::{OF_BATCH, bits, conv, norm, normal, plain, running, up_conv};

type Op = fn(&[Tensor]) -> Result<Tensor>;

#[test]
fn no_gradient_for_frozen_arguments() {
    let cases: [(&str, Vec<Tensor>, Op); 4] = [
        ("convolution /2", vec![normal((2, 3, 8, 8), 70), normal((4, 3, 4, 4), 71)], |t| {
            conv(&t[0], &t[1], plain(2, 1))
        }),
        ("convolution /1", vec![normal((2, 3, 8, 8), 72), normal((4, 3, 3, 3), 73)], |t| {
            conv(&t[0], &t[1], plain(1, 1))
        }),
        ("up-block", vec![normal((2, 3, 8, 8), 74), normal((4, 3, 3, 3), 75)], |t| {
            up_conv(&t[0], &t[1])
        }),
        ("batch norm", vec![normal((16, 3), 76), normal(3, 77), normal(3, 78)], |t| {
            norm(&t[1], &t[2], &running(3), 1e-5, Activation::Relu).apply(&t[0], OF_BATCH)
        }),
    ];
    for (what, inputs, op) in cases {
        let all = gradients(&inputs, op, |_| true);
        for kept in 0..inputs.len() {
            let some = gradients(&inputs, op, |i| i == kept);
            for (i, (all, some)) in all.iter().zip(&some).enumerate() {
                assert_eq!(some.is_some(), i == kept, "{what}: gradient {i} of only {kept}");
                if let (Some(all), Some(some)) = (all, some) {
                    assert_eq!(bits(all), bits(some), "{what}: gradient {i} alone");
                }
            }
        }
    }
}

fn gradients(inputs: &[Tensor], op: Op, wanted: impl Fn(usize) -> bool) -> Vec<Option<Tensor>> {
    let tensors: Vec<Tensor> = inputs
        .iter()
        .enumerate()
        .map(|(i, t)| if wanted(i) { Var::from_tensor(t).unwrap().into_inner() } else { t.clone() })
        .collect();
    let y = op(&tensors).unwrap();
    let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    tensors.iter().map(|t| grads.get(t).cloned()).collect()
}
