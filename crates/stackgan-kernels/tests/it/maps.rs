//! Maps on a CPU: cases that the other tests do not cover.

use candle_core::{DType, Device, Result, Tensor, Var};
use stackgan_kernels::{Activation, Clamp, Filter, Maps, Norm, Statistics};

use crate::common::{bits, normal, plain};

/// Compares the results and the running statistics of batches that are normalised one by one with
/// those of the concatenated batches.
#[test]
fn joined_batches_are_normalised_each_by_itself() -> Result<()> {
    let (channels, weight) = (5, normal((5, 3, 3, 3), 1));
    let (gamma, beta) = (normal(channels, 2), normal(channels, 3));
    let batches: Vec<Tensor> = (0..3).map(|i| normal((2, 3, 6, 6), 10 + i)).collect();
    let pass = |batches: &[&Tensor], parts| -> Result<(Vec<Tensor>, [Tensor; 2])> {
        let running_mean = Var::zeros(channels, DType::F32, &Device::Cpu)?;
        let running_var = Var::ones(channels, DType::F32, &Device::Cpu)?;
        let norm = Norm {
            gamma: &gamma,
            beta: &beta,
            running_mean: &running_mean,
            running_var: &running_var,
            momentum: 0.1,
            unbiased: true,
            eps: 1e-5,
            activation: Activation::LeakyRelu(0.2),
        };
        let filter = plain(1, 1);
        let statistics = Statistics::OfBatch { parts };
        let each = batches
            .iter()
            .map(|x| Maps::enter(x)?.conv_norm(&weight, filter, &norm, statistics)?.leave())
            .collect::<Result<_>>()?;
        Ok((each, [running_mean.copy()?, running_var.copy()?]))
    };
    let (apart, statistics) = pass(&batches.iter().collect::<Vec<_>>(), 1)?;
    let (joined, theirs) = pass(&[&Tensor::cat(&batches, 0)?], 3)?;
    assert_eq!(bits(&Tensor::cat(&apart, 0)?), bits(&joined[0]));
    for (ours, theirs) in statistics.iter().zip(&theirs) {
        assert_eq!(bits(ours), bits(theirs));
    }
    let unequal = pass(&[&Tensor::cat(&batches, 0)?], 4).unwrap_err().to_string();
    assert!(unequal.contains("6 images are not 4 equal parts"), "{unequal}");
    Ok(())
}

#[test]
fn a_vector_goes_behind_the_channels_of_every_pixel() -> Result<()> {
    let (x, vector) = (normal((2, 3, 4, 4), 1), normal((2, 5), 2));
    let y = Maps::enter(&x)?.append_tiled(&vector)?.leave()?;
    assert_eq!(y.dims(), [2, 8, 4, 4]);
    assert_eq!(bits(&y.narrow(1, 0, 3)?), bits(&x));
    for pixel in 0..16 {
        let behind = y.narrow(1, 3, 5)?.flatten_from(2)?.narrow(2, pixel, 1)?;
        assert_eq!(bits(&behind), bits(&vector));
    }
    let error = Maps::enter(&x)?.append_tiled(&normal((3, 5), 2)).unwrap_err().to_string();
    assert!(error.contains("3 vectors for maps of 2 pictures"), "{error}");
    Ok(())
}

fn wide(x: &Tensor) -> Tensor {
    x.to_dtype(DType::F64).unwrap()
}

/// The tests of a GPU have the same cases.
#[test]
fn vectors_of_a_norm_of_another_length_or_type_are_errors() -> Result<()> {
    let maps = Maps::enter(&normal((4, 3, 6, 6), 1))?;
    let (weight, rows, right) = (normal((5, 3, 3, 3), 2), normal((4, 5), 3), normal(5, 4));
    let wrong = [normal(4, 5), normal(6, 5), right.reshape((1, 5))?, wide(&right)];
    for (place, name) in ["gamma", "beta", "running_mean", "running_var"].iter().enumerate() {
        for wrong in &wrong {
            let mut vectors = [&right; 4];
            vectors[place] = wrong;
            let [gamma, beta, mean, var] = vectors;
            let (running_mean, running_var) = (Var::from_tensor(mean)?, Var::from_tensor(var)?);
            let norm = Norm {
                gamma,
                beta,
                running_mean: &running_mean,
                running_var: &running_var,
                momentum: 0.1,
                unbiased: true,
                eps: 1e-5,
                activation: Activation::Relu,
            };
            for statistics in [
                Statistics::OfBatch { parts: 1 },
                Statistics::OfBatch { parts: 2 },
                Statistics::Running,
            ] {
                let normed = maps.conv_norm(&weight, plain(1, 1), &norm, statistics);
                for result in [normed.and_then(|y| y.leave()), norm.apply(&rows, statistics)] {
                    let error = result.unwrap_err().to_string();
                    let shape = format!("5 channels, {name} has shape {:?}", wrong.dims());
                    assert!(wrong.dims() == [5] || error.contains(&shape), "{error}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn other_tensors_of_another_type_are_errors() -> Result<()> {
    let x = normal((4, 3, 6, 6), 1);
    let (maps, weight) = (Maps::enter(&x)?, normal((5, 3, 3, 3), 2));
    let depthwise = Filter::Depthwise { stride: 1, padding: 1.into() };
    let clamp = Clamp { bias: &wide(&normal(5, 3)), low: 0., high: 6. };
    let results = [
        maps.conv(&wide(&weight), plain(1, 1)),
        maps.conv(&wide(&weight), Filter::Up),
        maps.conv(&wide(&normal((3, 1, 3, 3), 4)), depthwise),
        maps.conv_clamp(&weight, plain(1, 1), clamp),
        maps.append_tiled(&wide(&normal((4, 2), 5))),
        maps.add_activate(&Maps::enter(&wide(&x))?, Activation::Relu),
    ];
    for (i, result) in results.iter().enumerate() {
        assert!(result.is_err(), "{i}");
    }
    Ok(())
}

/// Their gradient would be wrong: maps take the sign of what was activated from the result.
#[test]
fn negative_slopes_are_refused() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let maps = Maps::enter(&normal((2, 3, 4, 4), 1).to_dtype(dtype)?)?;
        for slope in [-0.5, f32::NAN] {
            let activation = Activation::LeakyRelu(slope);
            for result in [maps.activate(activation), maps.add_activate(&maps, activation)] {
                let error = result.unwrap_err().to_string();
                assert!(error.contains("a slope of 0 or more"), "{error}");
            }
        }
        assert!(maps.activate(Activation::LeakyRelu(-0.0)).is_ok());
    }
    Ok(())
}
