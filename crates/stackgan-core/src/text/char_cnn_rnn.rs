//! The network: three temporal convolutions over characters, a recurrence, the mean over its steps,
//! and a projection.
//!
//! Source: reedscot/icml2016 and cvpr2016, `modules/HybridCNN.lua`, `HybridCNNLong.lua`,
//! `FixedRNN.lua`, `FixedGRU.lua`. Tensor names are those of the PyTorch port's state dict.

mod tail;

use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};

use super::alphabet::{ALPHABET_SIZE, AlphabetOptions, CaptionIndices, Case, Unknown};
use super::ops::{
    KERNEL, LOOKUP_STEPS, Pool, affine, bias_threshold_pool, convolution, gru, lookup_pool, rnn,
    windows,
};
use crate::Error;
use crate::params::{Init, Scope};
pub(crate) use tail::STEPS;
pub(super) use tail::Tail;

/// One of the two published recurrences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recurrence {
    /// Gated, over 18 steps: the encoders for birds (used by StackGAN) and COCO.
    Gru,
    /// ReLU, over the 8 steps that remain after a third pooling: the encoder for flowers, and both
    /// of CVPR 2016.
    Rnn,
}

impl Recurrence {
    /// Returns the pooling after the third convolution.
    const fn third_pool(self) -> Pool {
        match self {
            Self::Gru => Pool { size: 1, stride: 1 },
            Self::Rnn => Pool { size: 3, stride: 2 },
        }
    }

    /// Returns the suffixes of the input layers, in the order in which the recurrence takes them.
    /// The hidden layers have the same suffixes after `h2h`.
    pub(crate) const fn gates(self) -> &'static [&'static str] {
        match self {
            Self::Gru => &["_update", "_reset", ""],
            Self::Rnn => &[""],
        }
    }
}

/// Sizes of a char-CNN-RNN. The default is the released encoder for birds (icml2016), which
/// StackGAN used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CharCnnRnnConfig {
    /// Channels of the first convolution (384).
    pub conv1: usize,
    /// Channels of the second convolution (512).
    pub conv2: usize,
    /// Channels of the third convolution and units of the recurrence, `D` (512; 256 in CVPR 2016).
    pub units: usize,
    /// Width of the embedding (1024).
    pub dim: usize,
    /// The recurrence.
    pub recurrence: Recurrence,
    /// How characters are read.
    pub alphabet: AlphabetOptions,
}

impl Default for CharCnnRnnConfig {
    fn default() -> Self {
        Self {
            conv1: 384,
            conv2: 512,
            units: 512,
            dim: 1024,
            recurrence: Recurrence::Gru,
            alphabet: AlphabetOptions::default(),
        }
    }
}

impl CharCnnRnnConfig {
    /// Returns the text that fingerprints contain.
    ///
    /// It must never change, because that would change the fingerprint of every existing encoder
    /// and model. Settings added in later versions may appear only if they differ from their
    /// defaults.
    pub(super) fn printed(&self) -> String {
        let Self { conv1, conv2, units, dim, recurrence, alphabet } = self;
        let recurrence = match recurrence {
            Recurrence::Gru => "Gru",
            Recurrence::Rnn => "Rnn",
        };
        let case = match alphabet.case {
            Case::Lower => "Lower",
            Case::Keep => "Keep",
        };
        let unknown = match alphabet.unknown {
            Unknown::ZeroRow => "ZeroRow",
            Unknown::Space => "Space",
            Unknown::Truncate => "Truncate",
        };
        format!(
            "char-cnn-rnn CharCnnRnnConfig {{ conv1: {conv1}, conv2: {conv2}, units: {units}, dim: {dim}, \
             recurrence: {recurrence}, alphabet: AlphabetOptions {{ case: {case}, unknown: {unknown} }} }}"
        )
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// [`Error::Config`] names the first key that is out of range.
    pub fn check(&self) -> crate::Result<()> {
        let sizes = [
            ("conv1", self.conv1),
            ("conv2", self.conv2),
            ("units", self.units),
            ("dim", self.dim),
        ];
        match sizes.into_iter().find(|(_, value)| !(1..=16_384).contains(value)) {
            None => Ok(()),
            Some((key, value)) => Err(Error::Config {
                key,
                expected: "1 to 16384".to_owned(),
                found: value.to_string(),
            }),
        }
    }
}

/// The initialisation of a new network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextInit {
    /// Weights and biases uniform in ±0.08 (`train_sje_hybrid.lua`).
    #[default]
    Published,
    /// Weights uniform in ±sqrt(6 / inputs) for layers followed by a threshold and ±sqrt(3 /
    /// inputs) for the rest; biases zero.
    ///
    /// Differs from the release: in narrow layers 0.08 is so small that all captions start with
    /// nearly the same vector, and the first minute of training is spent on separating them.
    FanIn,
}

impl TextInit {
    /// Returns the initialisation of a layer's weight and bias. `gain / inputs` is the variance of
    /// the weights.
    fn of(self, gain: f64, inputs: usize) -> [Init; 2] {
        match self {
            Self::Published => [Init::Uniform { bound: 0.08 }; 2],
            Self::FanIn => {
                let bound = (3.0 * gain / inputs.max(1) as f64).sqrt();
                [Init::Uniform { bound }, Init::Constant(0.0)]
            }
        }
    }
}

const POOL: Pool = Pool { size: 3, stride: 3 };

/// The weight and bias of one layer.
#[derive(Clone, Debug)]
struct Layer {
    weight: Tensor,
    bias: Tensor,
}

impl Layer {
    fn new(shape: &[usize], [weight, bias]: [Init; 2], scope: Scope) -> Result<Self> {
        let outputs = shape.first().copied().unwrap_or(0);
        Ok(Self {
            weight: scope.weight("weight", shape, weight)?,
            bias: scope.weight("bias", outputs, bias)?,
        })
    }

    /// Combines several layers into one whose output is their concatenated outputs.
    fn joined(layers: &[Self]) -> Result<Self> {
        let weights: Vec<&Tensor> = layers.iter().map(|layer| &layer.weight).collect();
        let biases: Vec<&Tensor> = layers.iter().map(|layer| &layer.bias).collect();
        Ok(Self { weight: Tensor::cat(&weights, 0)?, bias: Tensor::cat(&biases, 0)? })
    }
}

/// The char-CNN-RNN network.
#[derive(Clone, Debug)]
pub struct CharCnnRnn {
    conv1: Layer,
    conv2: Layer,
    conv3: Layer,
    input: Vec<Layer>,  // i2h, in the order of the gates
    hidden: Vec<Layer>, // h2h
    emb_proj: Layer,
    recurrence: Recurrence,
}

impl CharCnnRnn {
    /// Builds the network on the tensors of `scope`: `conv1.weight (conv1, 70, 4)`, …
    /// `emb_proj.bias`.
    ///
    /// # Errors
    /// As [`Self::with_init`].
    pub fn new(cfg: &CharCnnRnnConfig, scope: &Scope) -> Result<Self> {
        Self::with_init(cfg, TextInit::Published, scope)
    }

    /// Builds the network as [`Self::new`] does; `init` is the initialisation of new tensors.
    ///
    /// # Errors
    /// A size out of its range, or a tensor that is missing or has another shape.
    pub fn with_init(cfg: &CharCnnRnnConfig, init: TextInit, scope: &Scope) -> Result<Self> {
        cfg.check().map_err(candle_core::Error::wrap)?;
        let layer =
            |name: &str, shape: &[usize], init: [Init; 2]| Layer::new(shape, init, scope.pp(name));
        let recurrent = |kind: &str| {
            let square = [cfg.units, cfg.units];
            let gates = cfg.recurrence.gates().iter();
            let init = init.of(1.0, cfg.units);
            gates
                .map(|gate| layer(&format!("rnn.{kind}{gate}"), &square, init))
                .collect::<Result<Vec<_>>>()
        };
        let conv = |inputs| init.of(2.0, inputs);
        Ok(Self {
            // Four of the 280 inputs of the first convolution are 1, the others 0.
            conv1: layer("conv1", &[cfg.conv1, ALPHABET_SIZE, KERNEL], conv(KERNEL))?,
            conv2: layer("conv2", &[cfg.conv2, cfg.conv1, KERNEL], conv(KERNEL * cfg.conv1))?,
            conv3: layer("conv3", &[cfg.units, cfg.conv2, KERNEL], conv(KERNEL * cfg.conv2))?,
            input: recurrent("i2h")?,
            hidden: recurrent("h2h")?,
            emb_proj: layer("emb_proj", &[cfg.dim, cfg.units], init.of(1.0, cfg.units))?,
            recurrence: cfg.recurrence,
        })
    }

    /// Returns the device of its tensors.
    pub(super) fn device(&self) -> &Device {
        self.conv1.weight.device()
    }

    /// Returns embeddings `(captions, dim)`.
    ///
    /// # Errors
    /// No captions, or a failure of the device.
    pub fn forward(&self, captions: &[CaptionIndices]) -> Result<Tensor> {
        let x = lookup_pool(captions, LOOKUP_STEPS, &self.conv1.weight, &self.conv1.bias)?; // 66 steps
        let x = temporal(&x, &self.conv2, POOL)?; // 21
        self.head(&convolution(&windows(&x)?, &self.conv3.weight)?)
    }

    /// Applies the layers after the third convolution to its output `(captions, 18, units)` without
    /// bias.
    fn head(&self, x: &Tensor) -> Result<Tensor> {
        let x = bias_threshold_pool(x, &self.conv3.bias, self.recurrence.third_pool())?; // 18 or 8 steps
        let (batch, time, units) = x.dims3()?;
        let x = x.transpose(0, 1)?.contiguous()?.reshape((time * batch, units))?;
        let (input, hidden) = (Layer::joined(&self.input)?, Layer::joined(&self.hidden)?);
        let x = affine(&x, &input.weight, &input.bias)?.reshape((time, batch, ()))?;
        let states = match self.recurrence {
            Recurrence::Gru => gru(&x, &hidden.weight, &hidden.bias)?,
            Recurrence::Rnn => rnn(&x, &hidden.weight, &hidden.bias)?,
        };
        affine(&states.mean(0)?, &self.emb_proj.weight, &self.emb_proj.bias)
    }
}

/// Applies a temporal convolution, its threshold and its pooling.
fn temporal(x: &Tensor, layer: &Layer, pool: Pool) -> Result<Tensor> {
    bias_threshold_pool(&convolution(&windows(x)?, &layer.weight)?, &layer.bias, pool)
}

#[cfg(test)]
mod tests {
    use stackgan_noise::Noise;

    use super::*;
    use crate::Params;

    /// The fingerprint of every existing encoder is computed from these texts.
    #[test]
    fn fingerprints_hold_the_same_words_for_ever() {
        let birds = CharCnnRnnConfig::default();
        assert_eq!(
            birds.printed(),
            "char-cnn-rnn CharCnnRnnConfig { conv1: 384, conv2: 512, units: 512, dim: 1024, recurrence: Gru, \
             alphabet: AlphabetOptions { case: Lower, unknown: ZeroRow } }"
        );
        for unknown in [Unknown::Space, Unknown::Truncate] {
            let alphabet = AlphabetOptions { case: Case::Keep, unknown };
            let other =
                CharCnnRnnConfig { recurrence: Recurrence::Rnn, alphabet, conv1: 1, ..birds };
            assert_eq!(other.printed(), format!("char-cnn-rnn {other:?}"));
        }
    }

    /// Source: the released models.
    #[test]
    fn parameters_at_the_published_sizes() -> Result<()> {
        let count = |units, recurrence| -> Result<usize> {
            let params = Params::fresh(Noise::new(0), "text", &Device::Cpu);
            let cfg = CharCnnRnnConfig { units, recurrence, ..Default::default() };
            CharCnnRnn::new(&cfg, &params.trained())?;
            Ok(params.count())
        };
        assert_eq!(count(512, Recurrence::Gru)?, 4_045_184);
        assert_eq!(count(512, Recurrence::Rnn)?, 2_994_560);
        assert_eq!(count(256, Recurrence::Rnn)?, 1_814_144);
        Ok(())
    }

    #[test]
    fn sizes_of_zero_are_refused() {
        assert!(CharCnnRnnConfig { units: 0, ..Default::default() }.check().is_err());
        assert!(CharCnnRnnConfig::default().check().is_ok());
    }
}
