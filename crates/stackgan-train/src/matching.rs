//! A loss of G beside StackGAN's: among the batch's captions a painted picture is to be told its own, and among the batch's
//! pictures a caption its own, by the two encoders that were trained to do so with real pictures.
//!
//! Source: `AttnGAN` (Xu et al., CVPR 2018), section 3.2: the sentence's half of its DAMSM loss. Differs from it: the loss is the one
//! that the encoders were trained by; captions of one class are rivals, too; and there are no words to attend to, because a
//! char-CNN-RNN has a vector for the sentence alone.
//!
//! A GAN of few pictures learns the words from D alone, which has to find out what they mean from right and wrong pairs; the
//! encoders know. Whoever measures R-precision by them asks the teacher: see docs/training.md.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use stackgan_core::Params;
use stackgan_core::archive::Archive;
use stackgan_core::gan::Mode;
use stackgan_core::losses::square_means;
use stackgan_core::noise::Noise;
use stackgan_core::text::{Standardise, TextEncoder as _};

use crate::store::sha256;
use crate::text::{ImageEncoder, ImageSide, SIDE, TextTrainConfig, TrainedEncoder};
use crate::{Error, Result};

/// The encoders of a [`Matcher`], beside their tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchedBy {
    /// How they were trained.
    pub config: TextTrainConfig,
    /// The fingerprint of the text encoder.
    pub fingerprint: String,
}

/// The image side of a trained encoder, frozen, and how to get from texts as the networks see them to its own.
#[derive(Debug)]
pub struct Matcher {
    encoders: MatchedBy,
    image: ImageEncoder,
    params: Params,
    standardise: Option<Standardise>,
}

impl Matcher {
    /// The image side of `encoder` on `device`, for texts as the encoder's network makes them.
    ///
    /// # Errors
    /// [`Error::Config`] when it reads features of another network, through which no gradient goes.
    pub fn of(encoder: &TrainedEncoder, device: &Device) -> Result<Self> {
        let fingerprint = encoder.text.unstandardised(&Device::Cpu)?.fingerprint();
        let encoders = MatchedBy { config: encoder.config.clone(), fingerprint };
        Self::given(&encoders, encoder.image_tensors()?, device)
    }

    /// One of fresh weights, which takes the time and the memory of a trained one.
    ///
    /// # Errors
    /// When memory for it cannot be had.
    pub fn fresh(config: &TextTrainConfig, device: &Device) -> Result<Self> {
        let params = Params::fresh(Noise::new(0), "image", device);
        let image = ImageEncoder::new(&config.image, config.encoder.dim, &params.frozen())?;
        let encoders = MatchedBy { config: config.clone(), fingerprint: String::new() };
        Ok(Self { encoders, image, params, standardise: None })
    }

    /// What [`Self::tensors`] gave, again.
    ///
    /// # Errors
    /// As [`Self::of`], and when tensors are missing or have other shapes.
    pub(crate) fn given(
        encoders: &MatchedBy,
        mut tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let config = &encoders.config;
        if let ImageSide::Features { network, .. } = &config.image {
            return Err(Error::Config {
                key: "loss.matching".to_owned(),
                expected: "a text encoder that was trained with pictures".to_owned(),
                found: format!("one trained with features of {network}"),
                remedy: "train one without `--features`, or set `loss.matching=0`".to_owned(),
            });
        }
        let standardise = Standardise::from_tensors(&tensors, device)?;
        tensors.retain(|name, _| !name.starts_with(Standardise::PREFIX));
        let params = Params::given(tensors, device)?;
        let image = ImageEncoder::new(&config.image, config.encoder.dim, &params.frozen())?;
        let encoders = encoders.clone();
        Ok(Self { encoders, image, params, standardise })
    }

    /// The same for texts that were standardised.
    pub(crate) fn reading(self, standardise: Option<Standardise>) -> Self {
        Self { standardise, ..self }
    }

    /// The same over the same variables.
    pub(crate) fn shared(&self) -> Self {
        let Self { encoders, image, params, standardise } = self;
        let (encoders, image, standardise) = (encoders.clone(), image.clone(), standardise.clone());
        Self { encoders, image, params: params.shared(), standardise }
    }

    /// SHA-256 of the image side.
    ///
    /// # Errors
    /// When memory for it cannot be had.
    pub(crate) fn digest(&self) -> Result<String> {
        let archive = Archive { tensors: self.params.snapshot()?, ..Default::default() };
        Ok(sha256(&archive.to_bytes()?))
    }

    /// Whose it is.
    pub(crate) const fn encoders(&self) -> &MatchedBy {
        &self.encoders
    }

    /// Everything that its numbers depend on.
    ///
    /// # Errors
    /// When a tensor cannot be read from its device.
    pub(crate) fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = self.params.snapshot()?;
        if let Some(standardise) = &self.standardise {
            tensors.extend(standardise.tensors()?);
        }
        Ok(tensors)
    }

    /// The loss of pictures `(batch, 3, 64, 64)` or `(batch, 3, 256, 256)` in [-1, 1] with their texts `(batch, text_dim)`, as
    /// the networks see them. Larger pictures are looked at in means of 4x4 pixels. At least two of a batch: a picture alone
    /// has no rival.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn loss(&self, pictures: &Tensor, text: &Tensor) -> Result<Tensor> {
        let own = match &self.standardise {
            None => text.clone(),
            Some(standardise) => standardise.undo(text)?,
        };
        let by = self.encoders.config.loss;
        let own = self.image.comparable(by, &own, Mode::Eval)?;
        let seen = self.image.forward(&square_means(pictures, SIDE)?, Mode::Eval)?;
        self.image.compare(by, &seen, &own)
    }
}
