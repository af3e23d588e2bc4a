//! A contrastive loss of G beside StackGAN's: each generated picture must match its own caption among the batch's, and the
//! reverse, as judged by the two encoders that were trained to do so with real pictures.
//!
//! Source: `AttnGAN` (Xu et al., CVPR 2018), section 3.2: the sentence's half of its DAMSM loss. Differs from it: the loss is the one
//! that the encoders were trained with; captions of one class are rivals, too; and there are no words to attend to, because a
//! char-CNN-RNN has a vector for the sentence alone.
//!
//! With few pictures, D has to find out from right and wrong pairs what the words mean; the encoders know it. R-precision by
//! the same encoders asks the teacher: see docs/training.md.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use stackgan_core::Params;
use stackgan_core::archive::{Archive, prefixed, under};
use stackgan_core::generator::Mode;
use stackgan_core::losses::square_means;
use stackgan_core::noise::Noise;
use stackgan_core::text::{Standardise, TextEncoder as _};

use crate::text::{ImageEncoder, ImageSide, PictureNetwork, SIDE, TextTrainConfig, TrainedEncoder};
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
    /// Between pictures and an image side that reads features.
    network: Option<PictureNetwork>,
    image: ImageEncoder,
    params: Params,
    standardise: Option<Standardise>,
}

/// What a network's tensors are called among a matcher's.
const NETWORK: &str = "network.";

impl Matcher {
    /// The image side of `encoder` on `device`, for texts as the encoder's network makes them; with the `network`, on that device,
    /// whose features it reads, if it reads any.
    ///
    /// # Errors
    /// [`Error::Config`] when it reads features of another network, or `network` is none or one too many.
    pub fn of(
        encoder: &TrainedEncoder,
        network: Option<PictureNetwork>,
        device: &Device,
    ) -> Result<Self> {
        let wanted = match &encoder.config.image {
            ImageSide::Convolutions { .. } => None,
            ImageSide::Features { network, side, .. } => Some((network.as_str(), *side)),
        };
        let found = network.as_ref().map(|network| (network.name(), network.side()));
        if wanted != found {
            return Err(Error::Config {
                key: "loss.matching".to_owned(),
                expected: format!("{}, which the encoder was trained with", named(wanted)),
                found: named(found),
                remedy: "give the weights of that network".to_owned(),
            });
        }
        let fingerprint = encoder.text.unstandardised(&Device::Cpu)?.fingerprint();
        let encoders = MatchedBy { config: encoder.config.clone(), fingerprint };
        Self::made_of(encoders, network, encoder.image_tensors()?, device)
    }

    /// One of fresh weights, which takes the time and the memory of a trained one whose image side looks at pixels.
    ///
    /// # Errors
    /// [`Error::Config`] when a setting is out of range; when memory for it cannot be had.
    pub fn fresh(config: &TextTrainConfig, device: &Device) -> Result<Self> {
        config.check()?;
        let params = Params::fresh(Noise::new(0), "image", device);
        let image = ImageEncoder::new(&config.image, config.encoder.dim, &params.frozen())?;
        let encoders = MatchedBy { config: config.clone(), fingerprint: String::new() };
        Ok(Self { encoders, network: None, image, params, standardise: None })
    }

    /// What [`Self::tensors`] gave, again.
    ///
    /// # Errors
    /// As [`Self::of`], when a setting is out of range, and when tensors are missing or have other
    /// shapes.
    pub(crate) fn given(
        encoders: &MatchedBy,
        mut tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        encoders.config.check()?;
        let network = match &encoders.config.image {
            ImageSide::Convolutions { .. } => None,
            ImageSide::Features { network, side, .. } => {
                let of_network = under(NETWORK, &tensors);
                tensors.retain(|name, _| !name.starts_with(NETWORK));
                Some(PictureNetwork::new((network, *side), of_network, device)?)
            }
        };
        Self::made_of(encoders.clone(), network, tensors, device)
    }

    fn made_of(
        encoders: MatchedBy,
        network: Option<PictureNetwork>,
        mut tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let config = &encoders.config;
        let standardise = Standardise::from_tensors(&tensors, device)?;
        tensors.retain(|name, _| !name.starts_with(Standardise::PREFIX));
        let params = Params::given(tensors, device)?;
        let image = ImageEncoder::new(&config.image, config.encoder.dim, &params.frozen())?;
        Ok(Self { encoders, network, image, params, standardise })
    }

    /// The same for texts that were standardised.
    pub(crate) fn reading(self, standardise: Option<Standardise>) -> Self {
        Self { standardise, ..self }
    }

    /// The same over the same variables.
    pub(crate) fn shared(&self) -> Self {
        Self {
            encoders: self.encoders.clone(),
            network: self.network.clone(),
            image: self.image.clone(),
            params: self.params.shared(),
            standardise: self.standardise.clone(),
        }
    }

    /// SHA-256 of the image side. It was trained with one network alone.
    ///
    /// # Errors
    /// When a tensor cannot be read from its device.
    pub(crate) fn digest(&self) -> Result<String> {
        let archive = Archive { tensors: self.params.values(), ..Default::default() };
        Ok(archive.sha256()?)
    }

    /// Whose it is.
    pub(crate) const fn encoders(&self) -> &MatchedBy {
        &self.encoders
    }

    /// The network whose features the image side reads.
    pub(crate) const fn network(&self) -> Option<&PictureNetwork> {
        self.network.as_ref()
    }

    /// Everything that its numbers depend on.
    ///
    /// # Errors
    /// When a tensor cannot be read from its device.
    pub(crate) fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = self.params.values();
        if let Some(standardise) = &self.standardise {
            tensors.extend(standardise.tensors()?);
        }
        if let Some(network) = &self.network {
            tensors.extend(prefixed(NETWORK, network.tensors().clone()));
        }
        Ok(tensors)
    }

    /// The loss of pictures `(batch, 3, 64, 64)` or `(batch, 3, 256, 256)` in [-1, 1] with their texts `(batch, text_dim)`, as
    /// the networks see them. An image side of pixels looks at larger pictures in means of 4x4; a network of features
    /// sees what [`PictureNetwork::of_painted`] says. At least two of a batch: a picture alone has no rival.
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
        let seen = match &self.network {
            None => square_means(pictures, SIDE)?,
            Some(network) => network.of_painted(pictures)?,
        };
        let seen = self.image.forward(&seen, Mode::Eval)?;
        self.image.compare(by, &seen, &own)
    }
}

/// A network of features and the side of what it sees, or that there is none.
fn named(network: Option<(&str, usize)>) -> String {
    match network {
        None => "no network of features".to_owned(),
        Some((name, side)) => format!("features of {name} at {side} pixels"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused() {
        let image = ImageSide::Features { width: 8, network: "none".to_owned(), side: usize::MAX };
        let config = TextTrainConfig { image, ..TextTrainConfig::small() };
        let by = MatchedBy { config, fingerprint: String::new() };
        let given = Matcher::given(&by, BTreeMap::new(), &Device::Cpu);
        for refused in [given, Matcher::fresh(&by.config, &Device::Cpu)] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("setting `image`"), "{error}");
        }
    }
}
