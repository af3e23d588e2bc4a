//! Conditioning augmentation (paper section 3.2).
//!
//! It computes a Gaussian from the text embedding, draws `c = mu + sigma * epsilon` from it, and
//! defines its divergence from N(0, I).
//!
//! The releases differ in the activation after the linear layer and in the meaning of the second
//! half of its output. There are therefore two types, which return the same result type.

use candle_core::{Result, Tensor};
use stackgan_kernels::{Activation, activate, exp};

use crate::layers::{LEAKY, Linear, Style};
use crate::losses;
use crate::params::Scope;

/// The Gaussians of a batch of embeddings and one draw from each. All are `(batch, cond_dim)`.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// The draw, which is the generator's input.
    pub c: Tensor,
    /// The mean, which is an input of the plain recipe's discriminator.
    pub mu: Tensor,
    /// The logarithm of the scale.
    pub log_scale: LogScale,
}

/// The meaning of the second half of the conditioning layer's output.
#[derive(Clone, Debug)]
pub enum LogScale {
    /// log sigma² (`plain`).
    LogVariance(Tensor),
    /// log sigma (`residual`).
    LogSigma(Tensor),
}

impl Conditioning {
    /// Returns the divergence from N(0, I), averaged over batch and dimensions. Both releases
    /// average; the paper sums.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn kl(&self) -> Result<Tensor> {
        match &self.log_scale {
            LogScale::LogVariance(logvar) => losses::kl_log_variance(&self.mu, logvar),
            LogScale::LogSigma(log_sigma) => losses::kl_log_sigma(&self.mu, log_sigma),
        }
    }

    /// Returns the mean of sigma, for monitoring. Near 0, conditioning augmentation has no effect
    /// any more.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn mean_sigma(&self) -> Result<Tensor> {
        match &self.log_scale {
            LogScale::LogVariance(logvar) => exp(&(logvar.detach() * 0.5)?)?.mean_all(),
            LogScale::LogSigma(log_sigma) => exp(&log_sigma.detach())?.mean_all(),
        }
    }
}

/// Conditioning augmentation of `plain`: Linear, ReLU; the halves are mu and log sigma².
///
/// Because of the ReLU, sigma is always at least 1.
#[derive(Clone, Debug)]
pub struct LogVarianceAugmentation {
    fc: Linear,
}

impl LogVarianceAugmentation {
    /// Creates a layer from `text_dim` to `cond_dim`.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
    pub fn new(text_dim: usize, cond_dim: usize, style: Style, scope: Scope) -> Result<Self> {
        Ok(Self { fc: Linear::new(text_dim, 2 * cond_dim, style, scope.pp("fc"))? })
    }

    /// Computes the Gaussians of `text` `(batch, text_dim)`, with `epsilon` `(batch, cond_dim)` for
    /// the draws.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, text: &Tensor, epsilon: &Tensor) -> Result<Conditioning> {
        let (mu, logvar) = halves(&activate(&self.fc.forward(text)?, Activation::Relu)?)?;
        let sigma = exp(&(&logvar * 0.5)?)?;
        let c = (&mu + sigma.mul(epsilon)?)?;
        Ok(Conditioning { c, mu, log_scale: LogScale::LogVariance(logvar) })
    }
}

/// Conditioning augmentation of `residual`: Linear, LeakyReLU 0.2; the halves are mu and log sigma.
#[derive(Clone, Debug)]
pub struct LogSigmaAugmentation {
    fc: Linear,
}

impl LogSigmaAugmentation {
    /// Creates a layer from `text_dim` to `cond_dim`.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
    pub fn new(text_dim: usize, cond_dim: usize, style: Style, scope: Scope) -> Result<Self> {
        Ok(Self { fc: Linear::new(text_dim, 2 * cond_dim, style, scope.pp("fc"))? })
    }

    /// Computes the Gaussians of `text` `(batch, text_dim)`, with `epsilon` `(batch, cond_dim)` for
    /// the draws.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, text: &Tensor, epsilon: &Tensor) -> Result<Conditioning> {
        let (mu, log_sigma) = halves(&activate(&self.fc.forward(text)?, LEAKY)?)?;
        let c = (&mu + exp(&log_sigma)?.mul(epsilon)?)?;
        Ok(Conditioning { c, mu, log_scale: LogScale::LogSigma(log_sigma) })
    }
}

fn halves(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let width = x.dim(1)? / 2;
    Ok((x.narrow(1, 0, width)?.contiguous()?, x.narrow(1, width, width)?.contiguous()?))
}
