//! Conditioning augmentation (paper section 3.2).
//!
//! It computes a Gaussian from the text embedding, draws `c = mu + sigma * epsilon` from it, and
//! defines its divergence from N(0, I).
//!
//! The releases differ in the activation after the linear layer and in the meaning of the second
//! half of its output.

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
        self.log_scale.sigma()?.detach().mean_all()
    }
}

impl LogScale {
    fn sigma(&self) -> Result<Tensor> {
        match self {
            Self::LogVariance(logvar) => exp(&(logvar * 0.5)?),
            Self::LogSigma(log_sigma) => exp(log_sigma),
        }
    }
}

/// A linear layer and its activation, whose output is halved into mu and the scale.
#[derive(Clone, Debug)]
pub struct Augmentation {
    fc: Linear,
    activation: Activation,
    scale: fn(Tensor) -> LogScale,
}

impl Augmentation {
    /// Creates the layer of `plain`, from `text_dim` to `cond_dim`: ReLU, then mu and log sigma².
    /// Because of the ReLU, sigma is always at least 1.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
    pub fn log_variance(dims: (usize, usize), style: Style, scope: Scope) -> Result<Self> {
        Self::new(dims, (Activation::Relu, LogScale::LogVariance), style, scope)
    }

    /// Creates the layer of `residual`, from `text_dim` to `cond_dim`: LeakyReLU 0.2, then mu and
    /// log sigma.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
    pub fn log_sigma(dims: (usize, usize), style: Style, scope: Scope) -> Result<Self> {
        Self::new(dims, (LEAKY, LogScale::LogSigma), style, scope)
    }

    fn new(
        (text_dim, cond_dim): (usize, usize),
        (activation, scale): (Activation, fn(Tensor) -> LogScale),
        style: Style,
        scope: Scope,
    ) -> Result<Self> {
        let fc = Linear::new(text_dim, 2 * cond_dim, style, scope.pp("fc"))?;
        Ok(Self { fc, activation, scale })
    }

    /// Computes the Gaussians of `text` `(batch, text_dim)`, with `epsilon` `(batch, cond_dim)` for
    /// the draws.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, text: &Tensor, epsilon: &Tensor) -> Result<Conditioning> {
        let (mu, scale) = halves(&activate(&self.fc.forward(text)?, self.activation)?)?;
        let log_scale = (self.scale)(scale);
        let c = (&mu + log_scale.sigma()?.mul(epsilon)?)?;
        Ok(Conditioning { c, mu, log_scale })
    }
}

fn halves(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let width = x.dim(1)? / 2;
    Ok((x.narrow(1, 0, width)?.contiguous()?, x.narrow(1, width, width)?.contiguous()?))
}
