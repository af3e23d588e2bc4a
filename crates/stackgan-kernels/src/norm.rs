//! Batch norms and their statistics.

use candle_core::{Result, Tensor, Var};

use crate::Activation;

/// A batch norm: its parameters, its running statistics `(C)` and its activation.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Scale, `(C)`.
    pub gamma: &'a Tensor,
    /// Shift, `(C)`.
    pub beta: &'a Tensor,
    /// Running mean, `(C)`.
    pub running_mean: &'a Var,
    /// Running variance, `(C)`.
    pub running_var: &'a Var,
    /// Weight of the batch in the running statistics: new = (1 - momentum) old + momentum batch.
    pub momentum: f64,
    /// Whether the running variance uses N - 1 instead of N as divisor.
    pub unbiased: bool,
    /// Added to the variance.
    pub eps: f64,
    /// The activation that follows.
    pub activation: Activation,
}

/// The statistics that normalise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// Those of the batch. They also update the running ones, and the gradient passes through them.
    OfBatch {
        /// Number of equal parts of the batch, each normalised with its own statistics: several
        /// concatenated batches, in their order.
        parts: usize,
    },
    /// The running statistics.
    Running,
}

/// Statistics of a batch. They are not part of any graph.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// Mean of each feature, `(C)`.
    pub mean: Tensor,
    /// Biased variance of each feature, `(C)`: the mean squared deviation from the mean.
    pub variance: Tensor,
    /// Number of values per feature: `N` or `N H W`.
    pub count: usize,
}

impl Norm<'_> {
    /// Moves running statistics towards those of a batch.
    pub(crate) fn follow(&self, running: &Var, batch: &Tensor) -> Result<()> {
        let old = (running.as_detached_tensor() * (1.0 - self.momentum))?;
        running.set(&(old + (batch * self.momentum)?)?)
    }
}
