//! Maps on a CPU: cases that the other tests do not cover.

use candle_core::{Device, Result, Tensor, Var};
use stackgan_kernels::{Activation, Maps, Norm, Statistics};

use crate::common::{bits, normal, plain};

/// Compares the results and the running statistics of batches that are normalised one by one with
/// those of the concatenated batches.
#[test]
fn joined_batches_are_normalised_each_by_itself() -> Result<()> {
    let (channels, weight) = (5, normal((5, 3, 3, 3), 1));
    let (gamma, beta) = (normal(channels, 2), normal(channels, 3));
    let batches: Vec<Tensor> = (0..3).map(|i| normal((2, 3, 6, 6), 10 + i)).collect();
    let pass = |batches: &[&Tensor], parts| -> Result<(Vec<Tensor>, [Tensor; 2])> {
        let running_mean = Var::zeros(channels, candle_core::DType::F32, &Device::Cpu)?;
        let running_var = Var::ones(channels, candle_core::DType::F32, &Device::Cpu)?;
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
