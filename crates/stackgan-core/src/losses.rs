//! The loss terms, as pure functions of tensors.

use candle_core::{Result, Tensor};
pub use stackgan_kernels::bce_with_logits;
use stackgan_kernels::{exp, sum_each};

/// Returns KL(N(mu, sigma²) ‖ N(0, 1)) given log sigma², averaged over batch and dimensions.
///
/// The formula is -½ mean(1 + log sigma² - mu² - sigma²). Source: PyTorch release, `KL_loss`.
///
/// # Errors
/// Different shapes.
pub fn kl_log_variance(mu: &Tensor, logvar: &Tensor) -> Result<Tensor> {
    ((((logvar + 1.0)? - mu.sqr()?)? - exp(logvar)?)?.mean_all()?) * -0.5
}

/// Returns KL(N(mu, sigma²) ‖ N(0, 1)) given log sigma, averaged over batch and dimensions.
///
/// The formula is mean(-log sigma + ½(-1 + exp(2 log sigma) + mu²)). Source: TensorFlow release,
/// `KL_loss`.
///
/// # Errors
/// Different shapes.
pub fn kl_log_sigma(mu: &Tensor, log_sigma: &Tensor) -> Result<Tensor> {
    let half = (((exp(&(log_sigma * 2.0)?)? + mu.sqr()?)? - 1.0)? * 0.5)?;
    (half - log_sigma)?.mean_all()
}

/// Returns the mean absolute difference between the 16x16 means of a Stage-II image and of its
/// Stage-I image.
///
/// This is not part of StackGAN. It is an option for small models, whose Stage-II loses the colours
/// of Stage-I before its discriminator has learnt to read the text. `StackGAN++` has a similar
/// regulariser.
///
/// # Errors
/// Sizes that are not multiples of 16.
pub fn colour_consistency(image: &Tensor, low: &Tensor) -> Result<Tensor> {
    (square_means(image, 16)? - square_means(&low.detach(), 16)?)?.abs()?.mean_all()
}

/// Reduces images `(batch, channels, n side, n side)` to the means of their n x n squares,
/// `(batch, channels, side, side)`.
///
/// # Errors
/// Sizes that are not multiples of `side`, which is 1 or more.
pub fn square_means(image: &Tensor, side: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = image.dims4()?;
    if side == 0
        || height == 0
        || width == 0
        || !height.is_multiple_of(side)
        || !width.is_multiple_of(side)
    {
        candle_core::bail!(
            "square_means: {height}x{width} does not divide into {side}x{side} squares"
        );
    }
    if (height, width) == (side, side) {
        return Ok(image.clone());
    }
    let (rows, columns) = (height / side, width / side);
    let lines = sum_each(&image.reshape((batch * channels * height * side, columns))?)?;
    let sums = lines.reshape((batch * channels, side, rows, side))?.sum(2)?;
    (sums * (1.0 / (rows * columns) as f64))?.reshape((batch, channels, side, side))
}

/// Returns the mode-seeking loss of two batches of images `(batch, channels, side, side)` that were
/// painted for the same texts from two noises `(batch, z_dim)`: the reciprocal of how far the images
/// differ per difference of the noise, a scalar above 0 and at most 1e5.
///
/// The formula is 1 / (mean |a - b| / mean |za - zb| + 1e-5). Source: Mao et al., CVPR 2019, "Mode
/// seeking generative adversarial networks for diverse image synthesis". The noises must differ.
///
/// # Errors
/// Different shapes.
pub fn mode_seeking(images: [&Tensor; 2], noises: [&Tensor; 2]) -> Result<Tensor> {
    let apart = |[a, b]: [&Tensor; 2]| -> Result<Tensor> {
        let of_each = sum_each(&(a - b)?.abs()?)?;
        (sum_each(&of_each.unsqueeze(0)?)? * (1.0 / a.elem_count() as f64))?.squeeze(0)
    };
    ((apart(images)? / apart(noises)?)? + 1e-5)?.recip()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn scalar(t: &Tensor) -> f64 {
        t.to_dtype(candle_core::DType::F64).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn bce_is_exact_far_out_and_its_gradient_is_sigmoid_minus_label() -> Result<()> {
        for label in [0.0, 1.0] {
            for l in [-1e4f32, -110.0, -18.0, -3.0, -0.5, 0.0, 0.5, 3.0, 18.0, 1e4] {
                let x = Var::new(&[l], &Device::Cpu)?;
                let loss = bce_with_logits(&x, label)?;
                let l = f64::from(l);
                let exact = l.max(0.0) - l * label + (-l.abs()).exp().ln_1p();
                assert!((scalar(&loss) - exact).abs() <= 1e-6 * exact.max(1.0), "{l} {label}");
                let grads = loss.backward()?;
                let grad = f64::from(grads.get(&x).unwrap().to_vec1::<f32>()?[0]);
                let expected = 1.0 / (1.0 + (-l).exp()) - label;
                assert!((grad - expected).abs() < 1e-6, "{l} {label}: {grad} {expected}");
            }
        }
        Ok(())
    }

    /// Every output of D is one half. Source: arithmetic.
    #[test]
    fn losses_of_an_undecided_discriminator() -> Result<()> {
        let logits = Tensor::zeros(8, candle_core::DType::F32, &Device::Cpu)?;
        let (real, fake) = (bce_with_logits(&logits, 1.0)?, bce_with_logits(&logits, 0.0)?);
        assert!((scalar(&real) + 0.5 * (2.0 * scalar(&fake)) - 1.386_294).abs() < 1e-5);
        Ok(())
    }

    #[test]
    fn kl_of_known_gaussians() -> Result<()> {
        let t = |v: f32| Tensor::full(v, (3, 128), &Device::Cpu);
        for (mu, sigma, expected) in [(0.0f32, 1.0f32, 0.0), (1.0, 1.0, 0.5), (0.0, 2.0, 0.806_85)]
        {
            let (mu, log_sigma) = (t(mu)?, t(sigma.ln())?);
            assert!((scalar(&kl_log_sigma(&mu, &log_sigma)?) - expected).abs() < 1e-5);
            assert!((scalar(&kl_log_variance(&mu, &(log_sigma * 2.0)?)?) - expected).abs() < 1e-5);
        }
        Ok(())
    }

    #[test]
    fn colour_consistency_sees_colours_and_not_detail() -> Result<()> {
        let low = Tensor::full(0.25f32, (1, 3, 64, 64), &Device::Cpu)?;
        let checker: Vec<f32> =
            (0..3 * 256 * 256).map(|i| if (i / 256 + i) % 2 == 0 { 0.75 } else { -0.25 }).collect();
        let image = Tensor::from_vec(checker, (1, 3, 256, 256), &Device::Cpu)?;
        assert!(scalar(&colour_consistency(&image, &low)?) < 1e-6);
        assert!((scalar(&colour_consistency(&(image + 0.5)?, &low)?) - 0.5).abs() < 1e-6);
        Ok(())
    }

    #[test]
    fn mode_seeking_is_the_ratio_of_the_distances_upside_down() -> Result<()> {
        let t = |values: &[f32]| Tensor::from_slice(values, (2, 1), &Device::Cpu);
        let (z, others) =
            ([&t(&[0.0, 1.0])?, &t(&[4.0, -1.0])?], [&t(&[0.5, 0.0])?, &t(&[-0.5, 0.5])?]);
        // Distances 4 and 2, so 3; 1 and 0.5, so 0.75.
        assert!((scalar(&mode_seeking(others, z)?) - 4.0).abs() < 1e-3);
        let same = scalar(&mode_seeking([others[0]; 2], z)?);
        assert!((same - 1e5).abs() < 1.0, "{same}");
        Ok(())
    }

    /// Compares the gradient of `loss` at `x` with central differences in f64, coordinate by
    /// coordinate.
    fn check_gradient(
        name: &str,
        x: &[f64],
        shape: &[usize],
        loss: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<()> {
        let at = |x: &[f64]| Tensor::from_slice(x, shape, &Device::Cpu);
        let var = Var::from_tensor(&at(x)?)?;
        let grads = loss(&var)?.backward()?;
        let gradient = grads.get(&var).unwrap().flatten_all()?.to_vec1::<f64>()?;
        for (i, g) in gradient.iter().enumerate() {
            let moved = |by: f64| -> Result<f64> {
                let mut x = x.to_vec();
                x[i] += by;
                loss(&at(&x)?)?.to_scalar()
            };
            let difference = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
            assert!(
                (g - difference).abs() <= 1e-6 * difference.abs().max(1e-2),
                "{name} {i}: {g} {difference}"
            );
        }
        Ok(())
    }

    fn normals(n: usize, sample: u64) -> Vec<f64> {
        let draws =
            stackgan_noise::Noise::new(4).normal(stackgan_noise::Stream::Test, 0, sample, n);
        draws.into_iter().map(f64::from).collect()
    }

    #[test]
    fn gradients_of_every_loss_equal_differences() -> Result<()> {
        let other = Tensor::from_vec(normals(12, 1), (3, 4), &Device::Cpu)?;
        let x = normals(12, 0);
        check_gradient("bce 1", &x, &[12], |x| bce_with_logits(&(x * 4.0)?, 1.0))?;
        check_gradient("bce 0", &x, &[12], |x| bce_with_logits(&(x * 4.0)?, 0.0))?;
        check_gradient("kl mu", &x, &[3, 4], |mu| kl_log_variance(mu, &other))?;
        check_gradient("kl logvar", &x, &[3, 4], |logvar| kl_log_variance(&other, logvar))?;
        check_gradient("kl mu", &x, &[3, 4], |mu| kl_log_sigma(mu, &other))?;
        check_gradient("kl log sigma", &x, &[3, 4], |log_sigma| kl_log_sigma(&other, log_sigma))?;
        check_gradient("mode seeking", &x, &[3, 4], |x| {
            mode_seeking([x, &other], [&other, &other.neg()?])
        })?;
        let low = Tensor::from_vec(normals(3 * 16 * 16, 2), (1, 3, 16, 16), &Device::Cpu)?;
        let image = normals(3 * 32 * 32, 3);
        check_gradient("colour", &image, &[1, 3, 32, 32], |image| colour_consistency(image, &low))
    }
}
