//! The random inputs of a generator, drawn outside of it.

use candle_core::{Device, Result, Tensor};
use stackgan_noise::{Noise, Stream};

use crate::NetConfig;

/// All random inputs of a generator.
#[derive(Clone, Debug)]
pub struct GeneratorNoise {
    /// The noise of Stage-I, `(batch, z_dim)`, from N(0, 1).
    pub z: Tensor,
    /// Epsilon of Stage-I's conditioning augmentation, `(batch, cond_dim)`.
    pub eps1: Tensor,
    /// Epsilon of Stage-II's conditioning augmentation, `(batch, cond_dim)`. Stage-I does not read
    /// it.
    pub eps2: Tensor,
}

/// The distribution of epsilon in conditioning augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Epsilon {
    /// N(0, 1) (`plain`).
    Normal,
    /// N(0, 1) truncated to [-2, 2] (`residual`: the TensorFlow release).
    Truncated,
}

/// Three streams, for `z`, `eps1` and `eps2`.
pub type NoiseStreams = [Stream; 3];

/// The streams of the discriminator's step and of sampling.
pub const SAMPLING: NoiseStreams = [Stream::Z, Stream::CondAug1, Stream::CondAug2];

/// The streams of the generator's step if it draws new noise.
pub const GENERATOR_STEP: NoiseStreams =
    [Stream::GeneratorZ, Stream::GeneratorCondAug1, Stream::GeneratorCondAug2];

/// What noise is drawn for.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// The sizes of the networks.
    pub net: &'a NetConfig,
    /// The distribution of epsilon.
    pub epsilon: Epsilon,
    /// The device of the tensors.
    pub device: &'a Device,
}

/// The largest scale that a setting, an option or a request may ask for. Models are read with scales
/// up to 100.
pub const LARGEST_SCALE: f64 = 4.0;

/// Factors on noise. Below 1, pictures vary less and follow the text more closely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// Factor on `z`.
    pub z: f64,
    /// Factor on the epsilon of both stages.
    pub eps: f64,
}

impl GeneratorNoise {
    /// Draws the noise of `samples` at `step`.
    ///
    /// Sample `i` of the batch depends only on (seed, streams, step, samples\[i\]), not on the rest
    /// of the batch.
    ///
    /// # Errors
    /// Sizes out of their ranges; tensors that cannot be created on the device.
    pub fn draw(
        noise: Noise,
        streams: NoiseStreams,
        step: u64,
        samples: &[u64],
        of: &Draw<'_>,
    ) -> Result<Self> {
        Self::rows(samples.iter().map(|&sample| (noise, sample)), streams, step, of)
    }

    /// Draws the noise of sampling: a row for each seed.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn of_seeds(seeds: &[u64], of: &Draw<'_>) -> Result<Self> {
        Self::rows(seeds.iter().map(|&seed| (Noise::new(seed), 0)), SAMPLING, 0, of)
    }

    /// Draws a row for each seed and sample.
    fn rows(
        rows: impl ExactSizeIterator<Item = (Noise, u64)> + Clone,
        streams: NoiseStreams,
        step: u64,
        of: &Draw<'_>,
    ) -> Result<Self> {
        of.net.check().map_err(candle_core::Error::wrap)?;
        let batch = |stream, width, epsilon| {
            let mut values = Vec::with_capacity(rows.len() * width);
            for (noise, sample) in rows.clone() {
                values.extend(match epsilon {
                    Epsilon::Normal => noise.normal(stream, step, sample, width),
                    Epsilon::Truncated => noise.truncated_normal(stream, step, sample, width),
                });
            }
            Tensor::from_vec(values, (rows.len(), width), of.device)
        };
        let [z, eps1, eps2] = streams;
        Ok(Self {
            z: batch(z, of.net.z_dim, Epsilon::Normal)?,
            eps1: batch(eps1, of.net.cond_dim, of.epsilon)?,
            eps2: batch(eps2, of.net.cond_dim, of.epsilon)?,
        })
    }

    /// Returns the noise with `z` and both epsilons scaled.
    ///
    /// # Errors
    /// A failure of the device; never on the CPU.
    pub fn scaled(&self, Scales { z, eps }: Scales) -> Result<Self> {
        Ok(Self { z: (&self.z * z)?, eps1: (&self.eps1 * eps)?, eps2: (&self.eps2 * eps)? })
    }
}
