//! Maps: every layer of the networks.

use candle_core::{Device, Result, Tensor, Var};
use stackgan_kernels::{
    Activation, Clamp, Filter, Maps, Norm, Padding, Precision, Statistics, bce_with_logits,
    cut_out, gpu, translate,
};

use crate::{device, distance, normal, outcome};

const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// Precisions, and their tolerance compared with f32 on the CPU. The causes are rounded factors,
/// and values whose sign changes before an activation. Found on an H200: at most 8e-7, 8e-3 and
/// 0.15.
const PRECISIONS: [(Precision, f64); 3] =
    [(Precision::F32, 5e-6), (Precision::Tf32, 2e-2), (Precision::Bf16, 0.2)];

fn check(what: &str, inputs: &[Tensor], f: impl Fn(&[Tensor], Precision) -> Result<Tensor>) {
    let Some(gpu) = device() else { return };
    let expected = outcome(inputs, &Device::Cpu, &|x| f(x, Precision::F32)).unwrap();
    for (precision, tolerance) in PRECISIONS {
        gpu::set_precision(precision);
        {
            let found = outcome(inputs, &gpu, &|x| f(x, precision)).unwrap();
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let distance = distance(found, expected);
                println!("{what} {precision:?} {i}: {distance:.1e}");
                assert!(
                    distance <= tolerance,
                    "{what} in {precision:?}: {i} is {distance:.1e} off"
                );
            }
            let again = outcome(inputs, &gpu, &|x| f(x, precision)).unwrap();
            for (found, again) in found.iter().zip(&again) {
                assert_eq!(distance(found, again), 0.0, "{what} in {precision:?}: other bits");
            }
        }
    }
}

const SIZES: [(usize, usize, usize, usize); 4] = [
    // images, in, out, side
    (4, 5, 7, 8),
    (2, 3, 8, 16),
    (4, 32, 64, 16),
    (2, 64, 3, 8),
];

#[test]
fn convolutions() {
    for (n, input, output, side) in SIZES {
        for (k, stride, padding) in [(1, 1, 0), (3, 1, 1), (4, 2, 1), (4, 4, 0)] {
            let inputs = [normal((n, input, side, side), 1), normal((output, input, k, k), 2)];
            let filter = Filter::Plain { stride, padding: padding.into() };
            check(&format!("conv {input} {output} {side} {k}"), &inputs, |x, precision| {
                Maps::enter_as(&x[0], precision)?.conv(&x[1], filter)?.leave()
            });
        }
        let inputs = [normal((n, input, side, side), 3), normal((output, input, 3, 3), 4)];
        check(&format!("up {input} {output} {side}"), &inputs, |x, precision| {
            Maps::enter_as(&x[0], precision)?.conv(&x[1], Filter::Up)?.leave()
        });
    }
}

const STATISTICS: [Statistics; 3] =
    [Statistics::OfBatch { parts: 1 }, Statistics::OfBatch { parts: 2 }, Statistics::Running];

fn running(channels: usize, device: &Device) -> Result<(Var, Var)> {
    let mean = Var::from_tensor(&normal(channels, 20).to_device(device)?)?;
    let variance = (normal(channels, 21).sqr()? + 0.5)?;
    Ok((mean, Var::from_tensor(&variance.to_device(device)?)?))
}

#[test]
fn convolutions_with_batch_norm() {
    for (n, input, output, side) in SIZES {
        for filter in [Filter::Plain { stride: 1, padding: 1.into() }, Filter::Up] {
            for activation in [LEAKY, Activation::Relu, Activation::Identity] {
                for statistics in STATISTICS {
                    let inputs = [
                        normal((n, input, side, side), 1),
                        normal((output, input, 3, 3), 2),
                        (normal(output, 3) * 0.3).unwrap().affine(1.0, 1.0).unwrap(),
                        normal(output, 4),
                    ];
                    let what = format!("{filter:?} {input} {output} {activation:?} {statistics:?}");
                    check(&what, &inputs, |x, precision| {
                        let (mean, var) = running(output, x[0].device())?;
                        let norm = norm(&x[2], &x[3], (&mean, &var), activation);
                        let y = Maps::enter_as(&x[0], precision)?
                            .conv_norm(&x[1], filter, &norm, statistics)?
                            .leave()?;
                        // the statistics are part of the outcome
                        let seen = Tensor::stack(
                            &[mean.as_detached_tensor(), var.as_detached_tensor()],
                            0,
                        )?;
                        y.broadcast_add(&seen.sum_all()?)
                    });
                }
            }
        }
    }
}

fn norm<'a>(
    gamma: &'a Tensor,
    beta: &'a Tensor,
    (running_mean, running_var): (&'a Var, &'a Var),
    activation: Activation,
) -> Norm<'a> {
    let (momentum, eps) = (0.1, 1e-5);
    Norm { gamma, beta, running_mean, running_var, momentum, unbiased: true, eps, activation }
}

#[test]
fn batch_norm_of_rows() {
    for channels in [3, 64, 1000] {
        let inputs = [normal((16, channels), 1), normal(channels, 2), normal(channels, 3)];
        check(&format!("rows {channels}"), &inputs, |x, _| {
            let (mean, var) = running(channels, x[0].device())?;
            norm(&x[1], &x[2], (&mean, &var), Activation::Relu)
                .apply(&x[0], Statistics::OfBatch { parts: 2 })
        });
    }
}

/// Maps that are used twice, added, activated, and concatenated with a vector.
#[test]
fn a_block_with_a_short_cut_and_a_vector() {
    let inputs = [
        normal((3, 8, 4, 4), 1),
        normal((8, 8, 3, 3), 2),
        normal((3, 5), 3),
        normal((6, 13, 1, 1), 4),
    ];
    check("block", &inputs, |x, precision| {
        let maps = Maps::enter_as(&x[0], precision)?.activate(LEAKY)?;
        let inner = maps.conv(&x[1], Filter::Plain { stride: 1, padding: 1.into() })?;
        let sum = maps.add_activate(&inner, Activation::Relu)?;
        sum.append_tiled(&x[2])?
            .conv(&x[3], Filter::Plain { stride: 1, padding: 0.into() })?
            .leave()
    });
}

/// Layers of image classifiers: pictures with odd padding, 1x1 kernels, depthwise kernels, with
/// bounds.
#[test]
fn layers_of_classifiers() {
    for (n, input, output, k, stride) in
        [(2, 3, 8, 3, 2), (2, 24, 40, 1, 1), (2, 19, 19, 3, 1), (3, 40, 40, 5, 2), (2, 7, 7, 5, 1)]
    {
        let depthwise = input == output;
        let padding = Padding::same((14, 11), k, stride);
        let filter = match depthwise {
            true => Filter::Depthwise { stride, padding },
            false => Filter::Plain { stride, padding },
        };
        let ins = if depthwise { 1 } else { input };
        let spread = (2.0 / (ins * k * k) as f64).sqrt();
        let (weight, bias) =
            ((normal((output, ins, k, k), 2) * spread).unwrap(), normal(output, 3));
        for (low, high) in [(0.0, 2.0), (f32::NEG_INFINITY, f32::INFINITY)] {
            let what = format!("{input} to {output}, {k}x{k}, {stride}, {low} to {high}");
            check(&what, &[normal((n, input, 14, 11), 1)], |x, precision| {
                let (weight, bias) =
                    (weight.to_device(x[0].device())?, bias.to_device(x[0].device())?);
                let clamp = Clamp { bias: &bias, low, high };
                Maps::enter_as(&x[0], precision)?.conv_clamp(&weight, filter, clamp)?.leave()
            });
        }
    }
}

/// A gradient is computed only for tensors that need one, and nothing else fails.
#[test]
fn frozen_weights_and_plain_pictures() {
    let Some(gpu) = device() else { return };
    let at = |t: Tensor| t.to_device(&gpu).unwrap();
    let (x, w) = (at(normal((2, 3, 8, 8), 1)), at(normal((4, 3, 3, 3), 2)));
    let filter = Filter::Plain { stride: 1, padding: 1.into() };
    let picture = Var::from_tensor(&x).unwrap();
    let maps = Maps::enter_as(&picture, Precision::F32).unwrap();
    let grads =
        maps.conv(&w, filter).unwrap().leave().unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&picture).is_some() && grads.get(&w).is_none());
    let weight = Var::from_tensor(&w).unwrap();
    let maps = Maps::enter_as(&x, Precision::F32).unwrap();
    let y = maps.conv(&weight, filter).unwrap().leave().unwrap().sum_all().unwrap();
    let grads = y.backward().unwrap();
    assert!(grads.get(&weight).is_some() && grads.get(&x).is_none());
    let twice = y.backward().unwrap();
    let (a, b) = (grads.get(&weight).unwrap(), twice.get(&weight).unwrap());
    assert_eq!(
        distance(&a.to_device(&Device::Cpu).unwrap(), &b.to_device(&Device::Cpu).unwrap()),
        0.0
    );
}

#[test]
fn cross_entropy() {
    for label in [0.0, 0.9, 1.0] {
        let logits = (normal(300, 5) * 20.0).unwrap();
        check(&format!("bce {label}"), &[logits], |x, _| bce_with_logits(&x[0], label));
    }
}

#[test]
fn augmentations_of_pictures() {
    let places = [[0f32, 0.], [3., -2.], [-4., 5.], [f32::INFINITY, -1e30]];
    let places = Tensor::new(&places, &Device::Cpu).unwrap();
    let pictures = normal((4, 3, 9, 11), 1);
    check("translate", std::slice::from_ref(&pictures), |x, _| {
        translate(&x[0], &places.to_device(x[0].device())?)
    });
    for side in [0, 1, 4, 30] {
        check(&format!("cut out {side}"), std::slice::from_ref(&pictures), |x, _| {
            cut_out(&x[0], &places.to_device(x[0].device())?, side)
        });
    }
}
