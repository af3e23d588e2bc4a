//! Conditioning augmentation (paper section 3.2): a Gaussian around the text from which `c` is drawn,
//! `c = mu + sigma * epsilon`, and its divergence from N(0, I).
//!
//! The releases differ in the activation after the linear layer and in what its second half means, so there are two
//! types; what they return is the same.

use candle_core::{Result, Tensor};
use stackgan_kernels::{Activation, activate};

use crate::layers::{LEAKY, Linear, Style};
use crate::losses;
use crate::params::Scope;

/// The Gaussian of a batch of embeddings and one draw from it. All `(batch, cond_dim)`.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// The draw: what the generator sees.
    pub c: Tensor,
    /// The mean; what the plain recipe's discriminator sees.
    pub mu: Tensor,
    /// The logarithm of the scale.
    pub log_scale: LogScale,
}

/// What the second half of the conditioning layer means.
#[derive(Clone, Debug)]
pub enum LogScale {
    /// log sigma² (`plain`).
    LogVariance(Tensor),
    /// log sigma (`residual`).
    LogSigma(Tensor),
}

impl Conditioning {
    /// The divergence from N(0, I), averaged over batch and dimensions (both releases; the paper sums).
    ///
    /// # Errors
    /// When the device fails.
    pub fn kl(&self) -> Result<Tensor> {
        match &self.log_scale {
            LogScale::LogVariance(logvar) => losses::kl_log_variance(&self.mu, logvar),
            LogScale::LogSigma(log_sigma) => losses::kl_log_sigma(&self.mu, log_sigma),
        }
    }

    /// The mean of sigma, a number to watch: near 0, conditioning augmentation has died.
    ///
    /// # Errors
    /// When the device fails.
    pub fn mean_sigma(&self) -> Result<Tensor> {
        match &self.log_scale {
            LogScale::LogVariance(logvar) => (logvar.detach() * 0.5)?.exp()?.mean_all(),
            LogScale::LogSigma(log_sigma) => log_sigma.detach().exp()?.mean_all(),
        }
    }
}

/// `plain`: Linear, ReLU; halves are mu and log sigma². The ReLU makes sigma >= 1 always.
#[derive(Clone, Debug)]
pub struct LogVarianceAugmentation {
    fc: Linear,
}

impl LogVarianceAugmentation {
    /// From `text_dim` to `cond_dim`.
    ///
    /// # Errors
    /// When the scope has no such tensors.
    pub fn new(text_dim: usize, cond_dim: usize, style: Style, scope: Scope) -> Result<Self> {
        Ok(Self { fc: Linear::new(text_dim, 2 * cond_dim, style, scope.pp("fc"))? })
    }

    /// `text` is `(batch, text_dim)`, `epsilon` `(batch, cond_dim)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, text: &Tensor, epsilon: &Tensor) -> Result<Conditioning> {
        let (mu, logvar) = halves(&activate(&self.fc.forward(text)?, Activation::Relu)?)?;
        let sigma = (&logvar * 0.5)?.exp()?;
        let c = (&mu + sigma.mul(epsilon)?)?;
        Ok(Conditioning { c, mu, log_scale: LogScale::LogVariance(logvar) })
    }
}

/// `residual`: Linear, LeakyReLU 0.2; halves are mu and log sigma.
#[derive(Clone, Debug)]
pub struct LogSigmaAugmentation {
    fc: Linear,
}

impl LogSigmaAugmentation {
    /// From `text_dim` to `cond_dim`.
    ///
    /// # Errors
    /// When the scope has no such tensors.
    pub fn new(text_dim: usize, cond_dim: usize, style: Style, scope: Scope) -> Result<Self> {
        Ok(Self { fc: Linear::new(text_dim, 2 * cond_dim, style, scope.pp("fc"))? })
    }

    /// `text` is `(batch, text_dim)`, `epsilon` `(batch, cond_dim)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, text: &Tensor, epsilon: &Tensor) -> Result<Conditioning> {
        let (mu, log_sigma) = halves(&activate(&self.fc.forward(text)?, LEAKY)?)?;
        let c = (&mu + log_sigma.exp()?.mul(epsilon)?)?;
        Ok(Conditioning { c, mu, log_scale: LogScale::LogSigma(log_sigma) })
    }
}

fn halves(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let width = x.dim(1)? / 2;
    Ok((x.narrow(1, 0, width)?.contiguous()?, x.narrow(1, width, width)?.contiguous()?))
}
