//! The char-CNN-RNN as a [`TextEncoder`]: captions in, vectors out, with its tensors read from and
//! written to a model file.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::alphabet::{self, CaptionIndices, reading};
use super::char_cnn_rnn::Tail;
use super::{CharCnnRnn, CharCnnRnnConfig, TextEncoder};
use crate::archive::{Archive, KEY, prefixed, under};
use crate::digest::Sum;
use crate::shapes::wrong_sizes;
use crate::{Error, Params, Result};

/// The prefix of every tensor name in a model file.
const PREFIX: &str = "text.";
const MEAN: &str = "standardise.mean";
const STD: &str = "standardise.std";

/// The prefix of the names of an image side, in the files of `stackgan-train`.
const IMAGE_SIDE: &str = "image.";

/// The name of the kind of encoder in its file.
const KIND: &str = "char-cnn-rnn";
/// The version of the file format.
const VERSION: u32 = 1;

/// The description that an encoder's file contains.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    kind: String,
    version: u32,
    encoder: CharCnnRnnConfig,
    fingerprint: String,
}

/// Number of captions encoded at once, which limits the memory.
const BATCH: usize = 1024;

/// Subtracts the mean of the training set's embeddings and divides by their overall standard
/// deviation.
///
/// Differs from the release: it used the embeddings unchanged. Embeddings of small encoders have
/// a very small spread (0.03 to 0.05 per dimension), which a generator trained for minutes cannot
/// use.
#[derive(Clone, Debug)]
pub struct Standardise {
    mean: Tensor,
    std: f32,
}

impl Standardise {
    /// The prefix of the names of its tensors.
    pub const PREFIX: &str = "standardise.";

    /// Computes the mean of each dimension, and one standard deviation for all dimensions, of the
    /// vectors `(captions, dim)` of a training set.
    ///
    /// # Errors
    /// Vectors that are all equal, or not a matrix.
    pub fn fit(vectors: &Tensor) -> Result<Self> {
        let vectors = vectors.to_dtype(DType::F32)?;
        let mean = vectors.mean(0)?.detach();
        let variance = vectors.broadcast_sub(&mean)?.sqr()?.mean_all()?;
        Self::new(mean, variance.to_scalar::<f32>()?.sqrt())
    }

    /// Creates a standardisation from a mean `(dim)` and a standard deviation above 0.
    ///
    /// # Errors
    /// [`Error::Model`] if a value is invalid.
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

    /// Returns the width of the vectors.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.mean.elem_count()
    }

    /// Returns the tensors stored in a model file: `standardise.mean` and `standardise.std`.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let std = Tensor::new(&[self.std], self.mean.device())?;
        Ok([(MEAN.to_owned(), self.mean.clone()), (STD.to_owned(), std)].into())
    }

    /// Reads the tensors that [`Self::tensors`] returned. Returns `None` if both are missing.
    ///
    /// # Errors
    /// [`Error::Model`] if only one is missing, or their values are invalid.
    pub fn from_tensors(
        tensors: &BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Option<Self>> {
        match (tensors.get(MEAN), tensors.get(STD)) {
            (None, None) => Ok(None),
            (Some(mean), Some(std)) if std.elem_count() == 1 => {
                let std = std.to_dtype(DType::F32)?.flatten_all()?.get(0)?.to_scalar::<f32>()?;
                Self::new(mean.detach().to_device(device)?.to_dtype(DType::F32)?, std).map(Some)
            }
            _ => {
                let expected = format!("`{PREFIX}{MEAN}` and one value `{PREFIX}{STD}`");
                Err(wrong_tensors(expected, "one of them".to_owned()))
            }
        }
    }

    /// Whether a tensor of this name, below an encoder's prefix, is one of those that
    /// [`Self::from_tensors`] reads.
    pub(crate) fn has(name: &str) -> bool {
        [MEAN, STD].contains(&name)
    }

    /// Standardises vectors `(captions, dim)`; the result has the same shape.
    ///
    /// # Errors
    /// Different widths.
    pub fn apply(&self, vectors: &Tensor) -> Result<Tensor> {
        Ok((vectors.broadcast_sub(&self.mean)? / f64::from(self.std))?)
    }

    /// Inverts [`Self::apply`].
    ///
    /// # Errors
    /// Different widths.
    pub fn undo(&self, vectors: &Tensor) -> Result<Tensor> {
        Ok((vectors * f64::from(self.std))?.broadcast_add(&self.mean)?)
    }
}

/// A char-CNN-RNN with its weights, for inference: it records no gradients.
#[derive(Debug)]
pub struct CharCnnRnnEncoder {
    config: CharCnnRnnConfig,
    params: Params,
    network: CharCnnRnn,
    tail: Tail,
    standardise: Option<Standardise>,
    fingerprint: String,
    bare: String,
}

impl CharCnnRnnEncoder {
    /// Creates an encoder with these weights.
    ///
    /// # Errors
    /// A size out of its range, or tensors that are missing, left over or have other shapes.
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
        let fits =
            |e: candle_core::Error| wrong_tensors(format!("those of {config:?}"), e.to_string());
        let network = CharCnnRnn::new(&config, &params.frozen()).map_err(fits)?;
        params.check_all_used().map_err(fits)?;
        let (tail, fingerprint, bare) = (network.tail()?, String::new(), String::new());
        let mut encoder = Self { config, params, network, tail, standardise, fingerprint, bare };
        encoder.bare = encoder.hash(prefixed(PREFIX, encoder.params.values()).collect())?;
        encoder.fingerprint = match encoder.standardise {
            Some(_) => encoder.hash(encoder.tensors()?)?,
            None => encoder.bare.clone(),
        };
        Ok(encoder)
    }

    /// Returns the fingerprint of this encoder without standardisation, which is that of the
    /// encoder's file and of embeddings made with it.
    #[must_use]
    pub fn bare_fingerprint(&self) -> &str {
        &self.bare
    }

    /// Returns the sizes.
    #[must_use]
    pub const fn config(&self) -> &CharCnnRnnConfig {
        &self.config
    }

    /// Returns the standardisation of the vectors, if there is one.
    #[must_use]
    pub const fn standardise(&self) -> Option<&Standardise> {
        self.standardise.as_ref()
    }

    /// Returns the encoder with another standardisation of its vectors, or none.
    ///
    /// # Errors
    /// Different widths.
    pub fn with_standardise(self, standardise: Option<Standardise>) -> Result<Self> {
        Self::new(self.config, self.params, standardise)
    }

    /// Returns a copy on `device` without standardisation, which is a setting of a GAN's training.
    ///
    /// # Errors
    /// Insufficient memory for the copy.
    pub fn unstandardised(&self, device: &Device) -> Result<Self> {
        Self::from_tensors(self.config, &self.tensors()?, device)?.with_standardise(None)
    }

    /// Returns every tensor without copying, with the names of a model file: `text.conv1.weight`, …
    /// `text.standardise.mean`.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = self.params.values();
        if let Some(standardise) = &self.standardise {
            tensors.extend(standardise.tensors()?);
        }
        Ok(prefixed(PREFIX, tensors).collect())
    }

    /// Reads the encoder from the tensors of a model file. Tensors of other parts are ignored.
    ///
    /// # Errors
    /// [`Error::Model`] if a tensor of the encoder is missing, left over or of another shape.
    pub fn from_tensors(
        config: CharCnnRnnConfig,
        tensors: &BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        // Sizes in a file cannot be changed by a setting.
        let possible =
            |e: Error| wrong_tensors("sizes of such an encoder".to_owned(), wrong_sizes(&e));
        config.check().map_err(possible)?;
        let mut own = under(PREFIX, tensors);
        let standardise = Standardise::from_tensors(&own, device)?;
        own.retain(|name, _| !Standardise::has(name));
        Self::new(config, Params::given(own, device)?, standardise)
    }

    /// Returns a file with only the encoder. Equal encoders give equal bytes.
    ///
    /// # Errors
    /// Insufficient memory for it.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let about = About {
            kind: KIND.to_owned(),
            version: VERSION,
            encoder: self.config,
            fingerprint: self.fingerprint.clone(),
        };
        // Strings and numbers only, so this cannot fail.
        let about = serde_json::to_string(&about).unwrap_or_default();
        let metadata = [("format".to_owned(), "pt".to_owned()), (KEY.to_owned(), about)].into();
        Archive { metadata, tensors: self.tensors()? }.to_bytes()
    }

    /// Reads a file written by [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`Error::Model`] if the bytes are damaged, of another kind or version, or have been changed.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        let archive = Archive::from_bytes(bytes, device)?;
        let about = archive.metadata.get(KEY).map_or("", String::as_str);
        let about: About = serde_json::from_str(about).map_err(|e| {
            let found = match archive.tensors.keys().any(|name| name.starts_with(IMAGE_SIDE)) {
                true => "an encoder with its image side, as `stackgan text train` writes: \
                         `stackgan_train::text::TrainedEncoder` reads it"
                    .to_owned(),
                false => e.to_string(),
            };
            not_a_file(&format!("metadata `{KEY}` of a text encoder"), &found)
        })?;
        if (about.kind.as_str(), about.version) != (KIND, VERSION) {
            let found = format!("{} of version {}", about.kind.escape_debug(), about.version);
            return Err(not_a_file(&format!("{KIND} of version {VERSION}"), &found));
        }
        let encoder = Self::from_tensors(about.encoder, &archive.tensors, device)?;
        if encoder.fingerprint != about.fingerprint {
            return Err(not_a_file("the weights that were written", "others"));
        }
        Ok(encoder)
    }

    fn hash(&self, tensors: BTreeMap<String, Tensor>) -> Result<String> {
        let mut sum = Sum::of(self.config.printed().as_bytes());
        for (name, tensor) in tensors {
            sum.add(format!("\n{name} {:?}\n", tensor.dims()).as_bytes());
            for value in tensor.flatten_all()?.to_vec1::<f32>()? {
                sum.add(&value.to_le_bytes());
            }
        }
        Ok(sum.finish())
    }

    /// Encodes captions as [`TextEncoder::encode`] does, but never standardises.
    ///
    /// The image encoder of the same training is compared with these vectors.
    ///
    /// # Errors
    /// An operation on tensors that fails.
    pub fn encode_raw(&self, captions: &[&str]) -> Result<Tensor> {
        let indices: Vec<CaptionIndices> = captions
            .iter()
            .map(|caption| alphabet::indices(caption, self.config.alphabet))
            .collect();
        if indices.is_empty() {
            return Ok(Tensor::zeros((0, self.config.dim), DType::F32, self.network.device())?);
        }
        let parts = indices.chunks(BATCH).map(|chunk| self.network.encode(chunk, &self.tail));
        Ok(Tensor::cat(&parts.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
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

    fn unread(&self, caption: &str) -> Option<String> {
        reading(caption, self.config.alphabet).unread()
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

fn not_a_file(expected: &str, found: &str) -> Error {
    Error::Model {
        what: "not the file of a text encoder".to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy: "use an encoder's file as it was written; train one, or import published weights"
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

    /// A vector is the same to the bit for every number of other captions and every position among
    /// them.
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
        let config = CharCnnRnnConfig { units: 0, ..*encoder.config() };
        let error = CharCnnRnnEncoder::from_tensors(config, &tensors, &Device::Cpu).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("`units`") && !error.contains("do: change"), "{error}");
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
