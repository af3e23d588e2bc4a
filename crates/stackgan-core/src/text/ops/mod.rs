//! The operations of the char-CNN-RNN that would be slow as chains of tensor operations.
//!
//! Sequences are `(batch, time, channels)`, so that a temporal convolution is one matrix product
//! over adjacent rows. Each operation has a fast form for `f32` on the CPU, forward and backward,
//! and a twin in [`reference`] made of plain tensor operations. The twin runs on every other
//! device, and tests compare against it.

mod affine;
mod convolution;
mod gru;
mod host;
mod lookup;
mod pool;
mod recurrent;
mod reference;
mod rnn;
mod threshold;
mod windows;

pub(super) use affine::affine;
pub(crate) use convolution::THRESHOLD;
pub(super) use convolution::{KERNEL, convolution};
pub(super) use gru::gru;
pub(super) use lookup::{STEPS as LOOKUP_STEPS, lookup_pool};
pub(super) use pool::Pool;
pub(super) use rnn::rnn;
pub(super) use threshold::bias_threshold_pool;
pub(super) use windows::windows;

#[cfg(test)]
mod tests {
    use candle_core::{Device, Result, Tensor, Var};
    use stackgan_noise::{Noise, Stream};

    /// Returns a tracked tensor of normal numbers. `sample` distinguishes the tensors of one test.
    pub(crate) fn random(sample: u64, shape: &[usize]) -> Result<Var> {
        let n = shape.iter().product();
        Var::from_vec(Noise::new(3).normal(Stream::Test, 0, sample, n), shape, &Device::Cpu)
    }

    /// Asserts that two functions of the same variables agree, and so do their gradients, when both
    /// are weighted by the same random numbers.
    pub(crate) fn assert_twins(
        fast: impl Fn() -> Result<Tensor>,
        plain: impl Fn() -> Result<Tensor>,
        vars: &[&Var],
    ) -> Result<()> {
        let (fast, plain) = (fast()?, plain()?);
        assert_eq!(fast.dims(), plain.dims());
        assert_close(&fast, &plain, 1e-6)?;
        let weights = random(99, fast.dims())?;
        let grads = (fast * weights.as_tensor())?.sum_all()?.backward()?;
        let expected = (plain * weights.as_tensor())?.sum_all()?.backward()?;
        for var in vars {
            assert_close(grads.get(var).unwrap(), expected.get(var).unwrap(), 1e-5)?;
        }
        Ok(())
    }

    /// Asserts that the norm of the difference is below `tolerance` times the norm.
    pub(crate) fn assert_close(a: &Tensor, b: &Tensor, tolerance: f32) -> Result<()> {
        let norm = |t: &Tensor| t.sqr()?.sum_all()?.to_scalar::<f32>().map(f32::sqrt);
        let (difference, size) = (norm(&(a - b)?)?, norm(b)?);
        assert!(difference <= tolerance * size.max(1e-6), "{difference} of {size}");
        Ok(())
    }

    /// Asserts that the gradient of `f` in each variable agrees with central differences along
    /// random directions.
    pub(crate) fn assert_differences(f: impl Fn() -> Result<Tensor>, vars: &[&Var]) -> Result<()> {
        let weights = random(98, f()?.dims())?;
        let loss = || (f()? * weights.as_tensor())?.sum_all();
        let grads = loss()?.backward()?;
        for (i, var) in vars.iter().enumerate() {
            let direction = random(90 + i as u64, var.dims())?;
            let along =
                (grads.get(var).unwrap() * direction.as_tensor())?.sum_all()?.to_scalar::<f32>()?;
            let origin = var.as_tensor().copy()?;
            let at = |h: f64| {
                var.set(&(&origin + (direction.as_tensor() * h)?)?)?;
                loss()?.to_scalar::<f32>()
            };
            let h = 1e-3;
            let difference = (f64::from(at(h)?) - f64::from(at(-h)?)) / (2.0 * h);
            var.set(&origin)?;
            let (along, scale) = (f64::from(along), direction.as_tensor().elem_count() as f64);
            assert!(
                (along - difference).abs() < 0.01 * along.abs() + 0.02 * scale.sqrt(),
                "{i}: {along} {difference}"
            );
        }
        Ok(())
    }
}
