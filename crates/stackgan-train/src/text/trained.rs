//! A trained pair of encoders and its file format.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use stackgan_core::Params;
use stackgan_core::archive::{Archive, KEY};
use stackgan_core::generator::Mode;
use stackgan_core::text::losses::unit;
use stackgan_core::text::{CharCnnRnnEncoder, TextEncoder as _};

use super::{ImageEncoder, Loss, TextTrainConfig};
use crate::Result;

/// The version of the file's metadata.
const VERSION: u32 = 2;

/// Number of pictures in one pass.
const BATCH: usize = 64;

/// A text encoder and the image encoder that it was trained with.
#[derive(Debug)]
pub struct TrainedEncoder {
    /// The settings of the training.
    pub config: TextTrainConfig,
    /// The text encoder, the part that a model keeps.
    pub text: CharCnnRnnEncoder,
    /// Number of training steps.
    pub steps: u64,
    image: ImageEncoder,
    image_params: Params,
}

/// The file's description of itself, as JSON under the metadata key `stackgan`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// Always `encoder`.
    kind: String,
    version: u32,
    config: TextTrainConfig,
    /// The fingerprint of the text encoder.
    fingerprint: String,
    steps: u64,
}

impl TrainedEncoder {
    pub(super) fn new(
        config: TextTrainConfig,
        text: CharCnnRnnEncoder,
        image_params: Params,
        steps: u64,
    ) -> Result<Self> {
        let image = ImageEncoder::new(&config.image, config.encoder.dim, &image_params.frozen())?;
        Ok(Self { config, text, steps, image, image_params })
    }

    /// Encodes captions as vectors `(captions, dim)`, to compare with those of
    /// [`Self::image_features`] by dot product.
    ///
    /// With `per` above 1, each vector is that of the mean of `per` consecutive captions.
    ///
    /// # Errors
    /// When `per` does not divide the number of captions.
    pub fn text_features(&self, captions: &[&str], per: usize) -> Result<Tensor> {
        let vectors = self.text.encode_raw(captions)?;
        let vectors = match per {
            1 => vectors,
            _ => vectors.reshape((captions.len() / per.max(1), per, ()))?.mean(1)?,
        };
        self.to_compare(self.image.comparable(self.config.loss, &vectors, Mode::Eval)?)
    }

    /// Encodes pictures `(batch, 3, 64, 64)` in [-1, 1], or features `(batch, width)`, as vectors
    /// `(batch, dim)`. [`TextTrainConfig::image`] says which of the two is expected.
    ///
    /// # Errors
    /// When shapes do not match.
    pub fn image_features(&self, images: &Tensor) -> Result<Tensor> {
        let mut parts = Vec::new();
        for start in (0..images.dim(0)?).step_by(BATCH) {
            let part = images.narrow(0, start, BATCH.min(images.dim(0)? - start))?;
            parts.push(self.image.forward(&part, Mode::Eval)?);
        }
        let vectors = if parts.is_empty() {
            Tensor::zeros((0, self.text.dim()), images.dtype(), images.device())?
        } else {
            Tensor::cat(&parts, 0)?
        };
        self.to_compare(vectors)
    }

    /// Prepares vectors for dot products.
    fn to_compare(&self, vectors: Tensor) -> Result<Tensor> {
        Ok(match self.config.loss {
            Loss::JointEmbedding => vectors,
            Loss::Contrastive => unit(&vectors)?,
        })
    }

    /// The variables of the image side.
    pub(crate) fn image_tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(self.image_params.snapshot()?)
    }

    /// Serialises the encoders as `encoder.safetensors`: parts `text.` and `image.`, and metadata.
    /// Equal encoders give equal bytes.
    ///
    /// # Errors
    /// When memory for it cannot be allocated.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let manifest = Manifest {
            kind: "encoder".to_owned(),
            version: VERSION,
            config: self.config.clone(),
            fingerprint: self.text.fingerprint(),
            steps: self.steps,
        };
        let mut archive = Archive { tensors: self.text.tensors()?, ..Default::default() };
        archive.extend("image.", self.image_params.values());
        let json = serde_json::to_string(&manifest)
            .map_err(|e| malformed("settings that can be written", &e))?;
        archive.metadata.insert(KEY.to_owned(), json);
        Ok(archive.to_bytes()?)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged, of another kind or version, or were changed after they were
    /// written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let archive = Archive::from_bytes(bytes, &Device::Cpu)?;
        let json = archive.metadata.get(KEY).map_or("", String::as_str);
        let manifest: Manifest = serde_json::from_str(json)
            .map_err(|e| malformed("metadata of an encoder under `stackgan`", &e))?;
        if (manifest.kind.as_str(), manifest.version) != ("encoder", VERSION) {
            let found = format!("{} of version {}", manifest.kind, manifest.version);
            return Err(malformed(&format!("an encoder of version {VERSION}"), &found));
        }
        manifest.config.check().map_err(|e| {
            let error = e.to_string(); // without its remedy: what is in a file is no setting
            malformed("settings in range", &error.split("\n  do: ").next().unwrap_or_default())
        })?;
        let text = CharCnnRnnEncoder::from_tensors(
            manifest.config.encoder,
            &archive.tensors,
            &Device::Cpu,
        )?;
        if text.fingerprint() != manifest.fingerprint {
            return Err(malformed("the weights that were trained", &"others"));
        }
        let image_params = Params::given(archive.part("image."), &Device::Cpu)?;
        let encoder = Self::new(manifest.config, text, image_params, manifest.steps)?;
        encoder.image_params.check_all_used()?;
        Ok(encoder)
    }
}

fn malformed(expected: &str, found: &dyn std::fmt::Display) -> crate::Error {
    crate::Error::Core(stackgan_core::Error::Model {
        what: "not an encoder file".to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
        remedy: "train one with `stackgan text train`".to_owned(),
    })
}
