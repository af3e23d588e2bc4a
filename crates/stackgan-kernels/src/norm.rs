//! Batch norms and their statistics.

use candle_core::{Result, Tensor, Var, bail};

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
    /// Each part has two values per channel or more: a single one has no variance, and would become
    /// beta.
    OfBatch {
        /// Number of equal parts of the batch, each normalised with its own statistics: several
        /// concatenated batches, in their order.
        parts: usize,
    },
    /// The running statistics.
    Running,
}

impl Statistics {
    /// Returns the number of parts of a batch of `images`, each with `pixels` values per channel,
    /// that are normalised separately.
    ///
    /// # Errors
    /// Parts that are not equal, or of a single value per channel.
    pub(crate) fn parts(self, images: usize, pixels: usize) -> Result<usize> {
        match self {
            Self::OfBatch { parts } if parts == 0 || !images.is_multiple_of(parts) => {
                bail!("batch norm: {images} images are not {parts} equal parts")
            }
            Self::OfBatch { parts } if images / parts * pixels < 2 => bail!(
                "batch norm: expected two values per channel or more in each of {parts} parts, \
                 found {images} images of {pixels} pixels; train on more pictures at a time"
            ),
            Self::OfBatch { parts } => Ok(parts),
            Self::Running => Ok(1),
        }
    }
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
    /// Checks that every vector has one value per channel.
    ///
    /// # Errors
    /// A vector of another shape, with its name.
    pub(crate) fn check(&self, channels: usize) -> Result<()> {
        let vectors = [
            ("gamma", self.gamma),
            ("beta", self.beta),
            ("running_mean", self.running_mean.as_tensor()),
            ("running_var", self.running_var.as_tensor()),
        ];
        check_vectors(channels, &vectors)
    }

    /// Returns the factor of a batch's biased variance in the running one, for `count` values per
    /// channel, two or more.
    pub(crate) fn correction(&self, count: usize) -> f64 {
        let n = count as f64;
        if self.unbiased { n / (n - 1.0) } else { 1.0 }
    }

    /// Moves the running statistics towards those of a batch.
    ///
    /// # Errors
    /// Vectors of another shape or element type than the running ones.
    pub(crate) fn follow(&self, batch: &BatchStatistics) -> Result<()> {
        let variance = if self.unbiased {
            (&batch.variance * self.correction(batch.count))?
        } else {
            batch.variance.clone()
        };
        for (running, batch) in [(self.running_mean, &batch.mean), (self.running_var, &variance)] {
            let old = (running.as_detached_tensor() * (1.0 - self.momentum))?;
            running.set(&(old + (batch * self.momentum)?)?)?;
        }
        Ok(())
    }
}

/// Checks that each vector, which comes with its name, has one value per channel.
///
/// # Errors
/// A vector of another shape, with its name.
pub(crate) fn check_vectors(channels: usize, vectors: &[(&str, &Tensor)]) -> Result<()> {
    for (name, vector) in vectors {
        if vector.dims() != [channels] {
            bail!("batch_norm: {channels} channels, {name} has shape {:?}", vector.dims());
        }
    }
    Ok(())
}
