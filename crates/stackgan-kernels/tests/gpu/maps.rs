//! Maps: every layer of the networks.

use candle_core::{DType, Device, Result, Tensor, Var};
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

/// Its variance would be 0, and the result beta whatever it is.
#[test]
fn a_single_value_per_channel_is_refused() {
    let Some(gpu) = device() else { return };
    let at = |t: Tensor| t.to_device(&gpu).unwrap();
    let (c, weight) = (at(normal(3, 1)), at(normal((3, 3, 1, 1), 2)));
    let (mean, var) = running(3, &gpu).unwrap();
    let norm = norm(&c, &c, (&mean, &var), LEAKY);
    let maps = Maps::enter_as(&at(normal((2, 3, 1, 1), 3)), Precision::F32).unwrap();
    let filter = Filter::Plain { stride: 1, padding: 0.into() };
    let halves = Statistics::OfBatch { parts: 2 };
    let of_maps = maps.conv_norm(&weight, filter, &norm, halves).and_then(|y| y.leave());
    for result in [of_maps, norm.apply(&at(normal((2, 3), 3)), halves)] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("two values per channel or more"), "{error}");
    }
}

/// Nothing would order what one thread writes before what another reads.
#[test]
fn a_gpu_with_a_stream_for_each_thread_is_refused() {
    if device().is_none() {
        return;
    }
    let gpu = Device::new_cuda(0).unwrap();
    let x = normal((1, 3, 4, 4), 1).to_device(&gpu).unwrap();
    let logits = normal(4, 2).to_device(&gpu).unwrap();
    let maps = Maps::enter_as(&x, Precision::F32).and_then(|y| y.leave());
    for result in [maps, bce_with_logits(&logits, 1.0)] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("`stackgan_core::kernels::gpu::open`"), "{error}");
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

/// Vectors that a kernel would read beyond their ends, or as another type.
#[test]
fn vectors_of_a_norm_of_another_length_or_type_are_errors() {
    let Some(gpu) = device() else { return };
    let there = |t: &Tensor| t.to_device(&gpu).unwrap();
    let x = there(&normal((4, 3, 6, 6), 1));
    let (weight, rows) = (there(&normal((5, 3, 3, 3), 2)), there(&normal((4, 5), 3)));
    let right = normal(5, 4);
    let wrong = [normal(4, 5), normal(6, 5), right.reshape((1, 5)).unwrap(), wide(&right)];
    for (place, name) in ["gamma", "beta", "running_mean", "running_var"].iter().enumerate() {
        for wrong in &wrong {
            let mut vectors = [&right; 4];
            vectors[place] = wrong;
            let [gamma, beta, mean, var] = vectors.map(there);
            let (mean, var) = (Var::from_tensor(&mean).unwrap(), Var::from_tensor(&var).unwrap());
            let norm = norm(&gamma, &beta, (&mean, &var), LEAKY);
            for statistics in STATISTICS {
                let mut results = vec![norm.apply(&rows, statistics)];
                for (precision, _) in PRECISIONS {
                    let maps = Maps::enter_as(&x, precision).unwrap();
                    for filter in [Filter::Plain { stride: 1, padding: 1.into() }, Filter::Up] {
                        let normed = maps.conv_norm(&weight, filter, &norm, statistics);
                        results.push(normed.and_then(|y| y.leave()));
                    }
                }
                for result in results {
                    let error = result.unwrap_err().to_string();
                    let shape = format!("5 channels, {name} has shape {:?}", wrong.dims());
                    assert!(wrong.dims() == [5] || error.contains(&shape), "{error}");
                }
            }
        }
    }
}

fn wide(x: &Tensor) -> Tensor {
    x.to_dtype(DType::F64).unwrap()
}

#[test]
fn other_tensors_of_another_type_are_errors() {
    let Some(gpu) = device() else { return };
    let there = |t: &Tensor| t.to_device(&gpu).unwrap();
    let (x, weight) = (there(&normal((4, 3, 6, 6), 1)), there(&normal((5, 3, 3, 3), 2)));
    let wide_weight = there(&wide(&normal((5, 3, 3, 3), 2)));
    let wide_depthwise = there(&wide(&normal((3, 1, 3, 3), 4)));
    let (bias, vector) = (there(&wide(&normal(5, 3))), there(&wide(&normal((4, 2), 5))));
    let filter = Filter::Plain { stride: 1, padding: 1.into() };
    let depthwise = Filter::Depthwise { stride: 1, padding: 1.into() };
    for (precision, _) in PRECISIONS {
        let maps = Maps::enter_as(&x, precision).unwrap();
        let other = if precision == Precision::Bf16 { Precision::F32 } else { Precision::Bf16 };
        let results = [
            maps.conv(&wide_weight, filter),
            maps.conv(&wide_weight, Filter::Up),
            maps.conv(&wide_depthwise, depthwise),
            maps.conv_clamp(&weight, filter, Clamp { bias: &bias, low: 0., high: 6. }),
            maps.append_tiled(&vector),
            maps.add_activate(&Maps::enter_as(&x, other).unwrap(), Activation::Relu),
        ];
        for (i, result) in results.iter().enumerate() {
            assert!(result.is_err(), "{i} in {precision:?}");
        }
    }
    for result in [translate(&x, &vector), cut_out(&x, &vector, 2)] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("expected f32 values"), "{error}");
    }
}

/// More logits than a launch has threads.
#[test]
fn every_logit_has_a_gradient() {
    let Some(gpu) = device() else { return };
    let count = (1 << 24) + 300;
    let logits = Var::zeros(count, DType::F32, &gpu).unwrap();
    let grads = bce_with_logits(&logits, 0.0).unwrap().backward().unwrap();
    let gradient = grads.get(&logits).unwrap().to_vec1::<f32>().unwrap();
    let expected = 0.5 / count as f32;
    assert!(gradient.iter().all(|g| (g - expected).abs() < 1e-3 * expected));
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
