//! The char-CNN-RNN as a [`TextEncoder`]: captions in, vectors out, and its tensors in and out of a model file.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};

use super::alphabet::{self, CAPTION_LENGTH, CaptionIndices};
use super::{CharCnnRnn, CharCnnRnnConfig, TextEncoder};
use crate::{Error, Params, Result};

/// In front of every tensor name in a model file.
const PREFIX: &str = "text.";
const MEAN: &str = "standardise.mean";
const STD: &str = "standardise.std";

/// Captions in one pass: bounds the memory.
const BATCH: usize = 64;

/// A pass always has a multiple of this many captions, the last ones empty. Products with one row are summed in
/// another order than those with many, and a caption's vector must not depend on its neighbours.
const ROWS: usize = 8;

/// Takes away the mean of the training set's embeddings and divides by their overall standard deviation.
///
/// Differs from the release: it fed the embeddings as they come. Those of small encoders have a tiny spread (0.03 to 0.05
/// per dimension), which a generator trained for minutes cannot make use of.
#[derive(Clone, Debug)]
pub struct Standardise {
    mean: Tensor,
    std: f32,
}

impl Standardise {
    /// From the vectors `(captions, dim)` of a training set: the mean of each dimension, and one standard deviation for
    /// all.
    ///
    /// # Errors
    /// When the vectors are all equal, or not a matrix.
    pub fn fit(vectors: &Tensor) -> Result<Self> {
        let vectors = vectors.to_dtype(DType::F32)?;
        let mean = vectors.mean(0)?.detach();
        let variance = vectors.broadcast_sub(&mean)?.sqr()?.mean_all()?;
        Self::new(mean, variance.to_scalar::<f32>()?.sqrt())
    }

    /// From a mean `(dim)` and a standard deviation above 0.
    ///
    /// # Errors
    /// [`Error::Model`] when a value cannot be used.
    pub fn new(mean: Tensor, std: f32) -> Result<Self> {
        if std.is_finite() && std > 0.0 && mean.rank() == 1 {
            return Ok(Self { mean, std });
        }
        Err(Error::Model {
            what: "embeddings cannot be standardised".to_owned(),
            expected: "a mean for each dimension and a standard deviation above 0".to_owned(),
            found: format!("a mean of shape {:?} and a standard deviation of {std}", mean.dims()),
            remedy: "train the encoder longer, or turn `embedding_standardise` off".to_owned(),
        })
    }

    /// `(captions, dim)`, same shape out.
    ///
    /// # Errors
    /// When widths differ.
    pub fn apply(&self, vectors: &Tensor) -> Result<Tensor> {
        Ok((vectors.broadcast_sub(&self.mean)? / f64::from(self.std))?)
    }
}

/// A char-CNN-RNN with its weights. It is not trained through this type: gradients are not recorded.
#[derive(Debug)]
pub struct CharCnnRnnEncoder {
    config: CharCnnRnnConfig,
    params: Params,
    network: CharCnnRnn,
    standardise: Option<Standardise>,
    fingerprint: String,
}

impl CharCnnRnnEncoder {
    /// An encoder of these weights.
    ///
    /// # Errors
    /// When a size is out of range, or tensors are missing or have other shapes.
    pub fn new(
        config: CharCnnRnnConfig,
        params: Params,
        standardise: Option<Standardise>,
    ) -> Result<Self> {
        config.check()?;
        if let Some(Standardise { mean, .. }) = &standardise
            && mean.dims() != [config.dim]
        {
            return Err(wrong_tensors(
                format!("a mean of shape [{}]", config.dim),
                format!("{:?}", mean.dims()),
            ));
        }
        let network = CharCnnRnn::new(&config, &params.frozen())?;
        let fingerprint = String::new();
        let mut encoder = Self { config, params, network, standardise, fingerprint };
        encoder.fingerprint = encoder.hash()?;
        Ok(encoder)
    }

    /// The sizes.
    #[must_use]
    pub const fn config(&self) -> &CharCnnRnnConfig {
        &self.config
    }

    /// How the vectors are standardised, if they are.
    #[must_use]
    pub const fn standardise(&self) -> Option<&Standardise> {
        self.standardise.as_ref()
    }

    /// The same encoder with another standardisation of its vectors, or none.
    ///
    /// # Errors
    /// When widths differ.
    pub fn with_standardise(self, standardise: Option<Standardise>) -> Result<Self> {
        Self::new(self.config, self.params, standardise)
    }

    /// A copy of every tensor, under the names of a model file: `text.conv1.weight`, … `text.standardise.mean`.
    ///
    /// # Errors
    /// When memory for the copies cannot be had.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = self.params.snapshot()?;
        if let Some(Standardise { mean, std }) = &self.standardise {
            tensors.insert(MEAN.to_owned(), mean.clone());
            tensors.insert(STD.to_owned(), Tensor::new(&[*std], mean.device())?);
        }
        Ok(tensors.into_iter().map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor)).collect())
    }

    /// The encoder in the tensors of a model file; tensors of other parts are left alone.
    ///
    /// # Errors
    /// [`Error::Model`] when a tensor of the encoder is missing, left over or of another shape.
    pub fn from_tensors(
        config: CharCnnRnnConfig,
        tensors: &BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let mut own: BTreeMap<String, Tensor> = tensors
            .iter()
            .filter_map(|(name, tensor)| {
                Some((name.strip_prefix(PREFIX)?.to_owned(), tensor.clone()))
            })
            .collect();
        let standardise = match (own.remove(MEAN), own.remove(STD)) {
            (None, None) => None,
            (Some(mean), Some(std)) if std.elem_count() == 1 => {
                let std = std.to_dtype(DType::F32)?.flatten_all()?.get(0)?.to_scalar::<f32>()?;
                Some(Standardise::new(mean.to_device(device)?.to_dtype(DType::F32)?, std)?)
            }
            _ => {
                let expected = format!("`{PREFIX}{MEAN}` and one value `{PREFIX}{STD}`");
                return Err(wrong_tensors(expected, "one of them".to_owned()));
            }
        };
        let fits =
            |e: candle_core::Error| wrong_tensors(format!("those of {config:?}"), e.to_string());
        let params = Params::given(own, device)?;
        CharCnnRnn::new(&config, &params.frozen()).map_err(fits)?;
        params.check_all_used().map_err(fits)?;
        Self::new(config, params, standardise)
    }

    fn hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!("char-cnn-rnn {:?}", self.config));
        for (name, tensor) in self.tensors()? {
            hash.update(format!("\n{name} {:?}\n", tensor.dims()));
            for value in tensor.flatten_all()?.to_vec1::<f32>()? {
                hash.update(value.to_le_bytes());
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// As [`TextEncoder::encode`], but never standardised: what the image encoder of the same training is compared with.
    ///
    /// # Errors
    /// When an operation on tensors fails.
    pub fn encode_raw(&self, captions: &[&str]) -> Result<Tensor> {
        let indices: Vec<CaptionIndices> = captions
            .iter()
            .map(|caption| alphabet::indices(caption, self.config.alphabet))
            .collect();
        if indices.is_empty() {
            return Ok(Tensor::zeros((0, self.config.dim), DType::F32, self.network.device())?);
        }
        let parts =
            indices.chunks(BATCH).map(|chunk| self.pass(chunk)).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn pass(&self, captions: &[CaptionIndices]) -> Result<Tensor> {
        let mut padded = captions.to_vec();
        padded.resize(captions.len().next_multiple_of(ROWS), [0; CAPTION_LENGTH]);
        Ok(self.network.forward(&padded)?.narrow(0, 0, captions.len())?)
    }
}

impl TextEncoder for CharCnnRnnEncoder {
    fn dim(&self) -> usize {
        self.config.dim
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn encode(&self, captions: &[&str]) -> Result<Tensor> {
        let vectors = self.encode_raw(captions)?;
        match &self.standardise {
            None => Ok(vectors),
            Some(standardise) => standardise.apply(&vectors),
        }
    }
}

fn wrong_tensors(expected: String, found: String) -> Error {
    Error::Model {
        what: "the text encoder's tensors do not fit its configuration".to_owned(),
        expected,
        found,
        remedy: "use the file as it was written; train the encoder anew if it was edited"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use stackgan_noise::Noise;

    use super::*;
    use crate::text::Recurrence;

    fn small(recurrence: Recurrence) -> Result<CharCnnRnnEncoder> {
        let config = CharCnnRnnConfig {
            conv1: 20,
            conv2: 24,
            units: 28,
            dim: 12,
            recurrence,
            ..Default::default()
        };
        let params = Params::fresh(Noise::new(1), "text", &Device::Cpu);
        CharCnnRnn::new(&config, &params.trained())?;
        CharCnnRnnEncoder::new(config, params, None)
    }

    /// To the bit, whatever the number of captions beside it and its place among them.
    #[test]
    fn a_vector_does_not_depend_on_its_neighbours() -> Result<()> {
        for recurrence in [Recurrence::Gru, Recurrence::Rnn] {
            let encoder = small(recurrence)?;
            let captions: Vec<String> =
                (0..70).map(|i| format!("bird number {i} has {} wings", i * i)).collect();
            let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
            let together = encoder.encode(&captions)?.to_vec2::<f32>()?;
            for i in [0, 5, 63, 64, 69] {
                assert_eq!(encoder.encode(&captions[i..=i])?.to_vec2::<f32>()?[0], together[i]);
            }
            assert_eq!(encoder.encode(&captions[3..20])?.to_vec2::<f32>()?, together[3..20]);
        }
        Ok(())
    }

    #[test]
    fn no_captions_make_no_vectors() -> Result<()> {
        assert_eq!(small(Recurrence::Gru)?.encode(&[])?.dims(), [0, 12]);
        Ok(())
    }

    #[test]
    fn tensors_make_the_same_encoder_again() -> Result<()> {
        let encoder = small(Recurrence::Rnn)?;
        let vectors = encoder.encode(&["a red bird", "a blue bird with a long tail", "owl"])?;
        let plain = encoder.fingerprint();
        let encoder = encoder.with_standardise(Some(Standardise::fit(&vectors)?))?;
        assert_ne!(encoder.fingerprint(), plain);
        let mut tensors = encoder.tensors()?;
        tensors.insert("stage1.fc.weight".to_owned(), Tensor::zeros(3, DType::F32, &Device::Cpu)?);
        let again = CharCnnRnnEncoder::from_tensors(*encoder.config(), &tensors, &Device::Cpu)?;
        assert_eq!(again.fingerprint(), encoder.fingerprint());
        let caption = ["a green bird"];
        assert_eq!(
            again.encode(&caption)?.to_vec2::<f32>()?,
            encoder.encode(&caption)?.to_vec2::<f32>()?
        );
        for (name, change) in
            [("text.rnn.h2h.bias", None), ("text.other", Some(2)), ("text.conv2.bias", Some(7))]
        {
            let mut wrong = tensors.clone();
            match change {
                None => wrong.remove(name),
                Some(n) => {
                    wrong.insert(name.to_owned(), Tensor::zeros(n, DType::F32, &Device::Cpu)?)
                }
            };
            let error = CharCnnRnnEncoder::from_tensors(*encoder.config(), &wrong, &Device::Cpu)
                .unwrap_err();
            assert!(error.to_string().contains("do: "), "{error}");
        }
        Ok(())
    }

    #[test]
    fn standardised_vectors_have_mean_zero_and_deviation_one() -> Result<()> {
        let vectors = Tensor::new(&[[1f32, 10.0], [3.0, 20.0], [2.0, 12.0]], &Device::Cpu)?;
        let out = Standardise::fit(&vectors)?.apply(&vectors)?;
        assert!(out.mean(0)?.abs()?.max(0)?.to_scalar::<f32>()? < 1e-6);
        assert!((out.sqr()?.mean_all()?.to_scalar::<f32>()? - 1.0).abs() < 1e-5);
        assert!(Standardise::fit(&Tensor::ones((3, 2), DType::F32, &Device::Cpu)?).is_err());
        Ok(())
    }
}
