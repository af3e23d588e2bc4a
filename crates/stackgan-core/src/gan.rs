//! What the training steps and the pipeline need to know of a generator, whatever its recipe and stage.

use candle_core::{Device, Result, Tensor};
use stackgan_noise::{Noise, Stream};

use crate::NetConfig;
use crate::cond_aug::Conditioning;

/// Which statistics batch norm uses. Nothing to do with gradients: see [`crate::Params::frozen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The batch's own statistics; running statistics follow them.
    Train,
    /// As [`Mode::Train`], of several batches that were joined in their order: each of these equal parts has statistics of its
    /// own.
    Joined {
        /// How many batches.
        parts: usize,
    },
    /// Running statistics; nothing changes.
    Eval,
}

/// The statistics of Stage-I's batch norms while Stage-II is trained over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage1Statistics {
    /// Those of the batch, and the running statistics keep moving: both releases.
    #[default]
    Batch,
    /// The running ones, as in sampling: Stage-II then trains on the very pictures that it will be given.
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

/// Everything random that enters a generator, drawn outside of it.
#[derive(Clone, Debug)]
pub struct GeneratorNoise {
    /// `(batch, z_dim)`, N(0, 1): the noise of Stage-I.
    pub z: Tensor,
    /// `(batch, cond_dim)`: epsilon of Stage-I's conditioning augmentation.
    pub eps1: Tensor,
    /// `(batch, cond_dim)`: epsilon of Stage-II's conditioning augmentation; Stage-I alone does not read it.
    pub eps2: Tensor,
}

/// The distribution of epsilon in conditioning augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epsilon {
    /// N(0, 1) (`plain`).
    Normal,
    /// N(0, 1) cut at two (`residual`: the TensorFlow release).
    Truncated,
}

/// Three streams: one for each of `z`, `eps1`, `eps2`.
pub type NoiseStreams = [Stream; 3];

/// The streams of the discriminator's step, and of sampling.
pub const SAMPLING: NoiseStreams = [Stream::Z, Stream::CondAug1, Stream::CondAug2];

/// The streams of the generator's own step, where it draws afresh.
pub const GENERATOR_STEP: NoiseStreams =
    [Stream::GeneratorZ, Stream::GeneratorCondAug1, Stream::GeneratorCondAug2];

impl GeneratorNoise {
    /// Draws the noise of `samples` at `step`: sample `i` of the batch depends on (seed, streams, step, samples\[i\])
    /// alone, whatever the batch around it.
    ///
    /// # Errors
    /// When the tensors cannot be made on the device.
    pub fn draw(
        noise: Noise,
        streams: NoiseStreams,
        step: u64,
        samples: &[u64],
        (cfg, epsilon, device): (&NetConfig, Epsilon, &Device),
    ) -> Result<Self> {
        let batch = |stream, width, epsilon| {
            let mut values = Vec::with_capacity(samples.len() * width);
            for &sample in samples {
                values.extend(match epsilon {
                    Epsilon::Normal => noise.normal(stream, step, sample, width),
                    Epsilon::Truncated => noise.truncated_normal(stream, step, sample, width),
                });
            }
            Tensor::from_vec(values, (samples.len(), width), device)
        };
        let [z, eps1, eps2] = streams;
        Ok(Self {
            z: batch(z, cfg.z_dim, Epsilon::Normal)?,
            eps1: batch(eps1, cfg.cond_dim, epsilon)?,
            eps2: batch(eps2, cfg.cond_dim, epsilon)?,
        })
    }

    /// The same noise with `z` and both epsilons scaled: below 1, pictures vary less and follow the words more.
    ///
    /// # Errors
    /// Never on the CPU.
    pub fn scaled(&self, z: f64, eps: f64) -> Result<Self> {
        Ok(Self { z: (&self.z * z)?, eps1: (&self.eps1 * eps)?, eps2: (&self.eps2 * eps)? })
    }
}

/// What a generator makes of a batch of embeddings.
#[derive(Clone, Debug)]
pub struct Painted {
    /// `(batch, 3, 64, 64)` or `(batch, 3, 256, 256)` in [-1, 1].
    pub image: Tensor,
    /// The Stage-I picture `(batch, 3, 64, 64)` that a Stage-II picture was painted over.
    pub low: Option<Tensor>,
    /// The conditioning of the stage that is trained.
    pub conditioning: Conditioning,
}

/// A generator of either recipe and stage.
pub trait Generator: Send + Sync + std::fmt::Debug {
    /// Paints a batch: `text` is `(batch, text_dim)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn paint(&self, text: &Tensor, noise: &GeneratorNoise, mode: Mode) -> Result<Painted>;
}
