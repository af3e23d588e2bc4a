//! The interface of generators, which the training steps and the pipeline use for every recipe and
//! stage.

use candle_core::{Result, Tensor};
use stackgan_kernels::Statistics;

use crate::cond_aug::Conditioning;
use crate::generator_noise::GeneratorNoise;

/// Which statistics batch norm uses. This is independent of gradients; for those see
/// [`crate::Params::frozen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The statistics of the batch. The running statistics are updated.
    Train,
    /// The running statistics, which are not changed.
    Eval,
}

impl From<Mode> for Statistics {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Train => Self::OfBatch { parts: 1 },
            Mode::Eval => Self::Running,
        }
    }
}

/// The statistics that Stage-I's batch norms use while Stage-II is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage1Statistics {
    /// Those of the batch, with the running statistics updated, as in both releases.
    #[default]
    Batch,
    /// The running statistics, as in sampling. Stage-II then trains on the same pictures that it
    /// receives in sampling.
    Running,
}

impl Stage1Statistics {
    pub(crate) const fn mode(self, outer: Mode) -> Mode {
        match self {
            Self::Batch => outer,
            Self::Running => Mode::Eval,
        }
    }
}

/// A generator's output for a batch of embeddings.
#[derive(Clone, Debug)]
pub struct Painted {
    /// The images, `(batch, 3, 64, 64)` or `(batch, 3, 256, 256)` in [-1, 1].
    pub image: Tensor,
    /// The Stage-I images `(batch, 3, 64, 64)` from which Stage-II computed its images.
    pub low: Option<Tensor>,
    /// The conditioning of the stage that is trained.
    pub conditioning: Conditioning,
}

/// A generator of either recipe and stage.
pub trait Generator: Send + Sync + std::fmt::Debug {
    /// Generates images for a batch of embeddings `text` `(batch, text_dim)`.
    ///
    /// # Errors
    /// Shapes that do not match.
    fn paint(&self, text: &Tensor, noise: &GeneratorNoise, mode: Mode) -> Result<Painted>;
}
