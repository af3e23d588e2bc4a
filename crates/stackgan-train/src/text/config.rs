//! The settings of an encoder's training: checked once, stored with the encoder.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use stackgan_core::text::{CharCnnRnnConfig, TextInit};

use crate::{Error, Result, schedule};

/// The loss function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Symmetric structured joint embedding, margin 1 (Reed et al.).
    JointEmbedding,
    /// Symmetric softmax contrastive loss with a learned scale.
    ///
    /// Differs from the release: meant for small encoders, which learn the rarer words much sooner
    /// with it.
    Contrastive,
}

/// The update rule of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// Torch's `rmsprop`: alpha 0.99, epsilon 1e-8 (Reed et al.).
    RmsProp,
    /// Adam with betas 0.9 and 0.999.
    Adam,
}

/// How the learning rate decays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum TextDecay {
    /// Multiplied by `factor` after every "epoch" of as many steps as there are training classes
    /// (Reed et al.: 0.98).
    PerEpoch {
        /// The factor, above 0 and at most 1.
        factor: f64,
    },
    /// Constant up to the fraction `from` of the run, then linear down to the fraction `to` of the
    /// base rate.
    Linear {
        /// Fraction of the run at which the decay begins, 0 to 1.
        from: f64,
        /// Fraction of the base rate that is left at the end, 0 to 1.
        to: f64,
    },
}

impl TextDecay {
    /// The factor on the base rate at `step`, when the fraction `done` of the run has passed.
    #[must_use]
    pub fn factor(self, step: u64, classes: usize, done: f64) -> f64 {
        match self {
            Self::PerEpoch { factor } => {
                let epoch = step / classes.max(1) as u64;
                factor.powi(i32::try_from(epoch).unwrap_or(i32::MAX))
            }
            Self::Linear { from, to } => schedule::linear(done, from, to),
        }
    }
}

/// Batches with many similar classes, which their common traits cannot tell apart.
///
/// Differs from the release, whose batches are all random. The classes nearest to a random one, by
/// the running means of their captions' vectors, fill `share` of a hard batch. After the first
/// minute a red bird is then compared with other red birds, so the encoders must learn wings and
/// bellies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardBatches {
    /// Probability that a batch is hard, 0 to 1.
    pub chance: f64,
    /// Share of similar classes in a hard batch, 0 to 1.
    pub share: f64,
    /// Number of steps before the first hard batch.
    pub after: u64,
}

/// The image side of the joint embedding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum ImageSide {
    /// A convolutional network on 64x64 pixels, trained together with the text encoder.
    ///
    /// Differs from the release: for drawn pictures, and for use without a pretrained network.
    Convolutions {
        /// Channels of the convolutions, each of which halves the side of the picture; one to five.
        channels: Vec<usize>,
    },
    /// Features of a pretrained network: batch norm, a linear layer, batch norm.
    ///
    /// Differs from the release: Reed et al. (CVPR 2016) compare captions with the 1024 features of
    /// their `GoogLeNet` as they are, of ten views of a picture. Features of another network have
    /// another width and other scales, so a layer maps them to the width of the text; the views
    /// are the picture and its mirror image.
    Features {
        /// Number of features of a picture.
        width: usize,
        /// The network that made the features, as its name and the SHA-256 of its weights.
        network: String,
        /// Side of the pictures that it saw, in pixels.
        side: usize,
    },
}

/// The sides of the pictures that a pretrained network may be given.
pub(super) const SIDES: RangeInclusive<usize> = 32..=1024;

/// Everything that determines an encoder except data, seed and length of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextTrainConfig {
    /// Sizes of the text encoder.
    pub encoder: CharCnnRnnConfig,
    /// Initialisation of its weights.
    pub init: TextInit,
    /// The image side of the joint embedding.
    pub image: ImageSide,
    /// Number of rows of a batch, each of another class.
    pub batch: usize,
    /// Number of captions for each row's picture. Each is compared with the picture, and their
    /// losses are averaged. Published value: 1.
    ///
    /// Differs from the release: the text side is the cheaper one, so more captions per picture
    /// train it sooner.
    pub captions_per_picture: usize,
    /// Learning rate.
    pub lr: f64,
    /// How the learning rate decays.
    pub decay: TextDecay,
    /// The update rule of the weights.
    pub optimiser: Optimiser,
    /// The loss function.
    pub loss: Loss,
    /// Hard batches, if they are on.
    pub hard_batches: Option<HardBatches>,
    /// Whether the finished encoder's vectors are standardised. Differs from the release; see
    /// [`stackgan_core::text::Standardise`].
    pub embedding_standardise: bool,
}

impl TextTrainConfig {
    /// The published training of the birds' encoder (`train_sje_hybrid.lua` of Reed et al., CVPR
    /// 2016), except for the image side.
    ///
    /// Differs from the release: that of COCO (`main_txt_coco.lua`) matches two captions of a picture
    /// with each other, with Adam at 2e-4, and is not here.
    #[must_use]
    pub fn published() -> Self {
        Self {
            encoder: CharCnnRnnConfig::default(),
            init: TextInit::Published,
            image: ImageSide::Convolutions { channels: vec![32, 64, 128, 256] },
            batch: 40,
            captions_per_picture: 1,
            lr: 7e-4,
            decay: TextDecay::PerEpoch { factor: 0.98 },
            optimiser: Optimiser::RmsProp,
            loss: Loss::JointEmbedding,
            hard_batches: None,
            embedding_standardise: false,
        }
    }

    /// A small encoder for the toy birds that trains in minutes.
    #[must_use]
    pub fn small() -> Self {
        Self {
            encoder: CharCnnRnnConfig {
                conv1: 64,
                conv2: 96,
                units: 128,
                dim: 128,
                ..Default::default()
            },
            init: TextInit::FanIn,
            image: ImageSide::Convolutions { channels: vec![24, 48, 96, 128] },
            batch: 48,
            captions_per_picture: 2,
            lr: 2e-3,
            decay: TextDecay::Linear { from: 0.5, to: 0.02 },
            optimiser: Optimiser::Adam,
            loss: Loss::Contrastive,
            hard_batches: Some(HardBatches { chance: 0.5, share: 2.0 / 3.0, after: 200 }),
            embedding_standardise: true,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the first key that is out of range.
    pub fn check(&self) -> Result<()> {
        self.encoder.check().map_err(|error| match error {
            stackgan_core::Error::Config { key, expected, found } => {
                invalid(&format!("encoder.{key}"), &expected, found)
            }
            error => error.into(),
        })?;
        let Self { batch, captions_per_picture: captions, lr, decay, image, .. } = self;
        let hard = self.hard_batches.unwrap_or(HardBatches { chance: 0.0, share: 0.0, after: 0 });
        let part = 0.0..=1.0;
        let decay_fits = match decay {
            TextDecay::PerEpoch { factor } => *factor > 0.0 && *factor <= 1.0,
            TextDecay::Linear { from, to } => part.contains(from) && part.contains(to),
        };
        let image_fits = match image {
            ImageSide::Convolutions { channels } => {
                (1..=5).contains(&channels.len()) && channels.iter().all(|c| (1..=4096).contains(c))
            }
            ImageSide::Features { width, side, .. } => {
                (1..=65_536).contains(width) && SIDES.contains(side)
            }
        };
        let rules = [
            ("batch", (2..=4096).contains(batch), "2 to 4096", batch.to_string()),
            ("captions_per_picture", (1..=16).contains(captions), "1 to 16", captions.to_string()),
            ("lr", *lr > 0.0 && *lr < 1.0, "above 0, below 1", lr.to_string()),
            ("decay", decay_fits, "fractions of the run and of the rate", format!("{decay:?}")),
            (
                "image",
                image_fits,
                "one to five widths up to 4096, or 1 to 65536 features of pictures of 32 to 1024 pixels",
                format!("{image:?}"),
            ),
            ("hard_batches.chance", part.contains(&hard.chance), "0 to 1", hard.chance.to_string()),
            ("hard_batches.share", part.contains(&hard.share), "0 to 1", hard.share.to_string()),
        ];
        for (key, fits, expected, found) in rules {
            if !fits {
                return Err(invalid(key, expected, found));
            }
        }
        Ok(())
    }
}

/// The error of a field that cannot be used. `--set` does not reach these settings.
fn invalid(key: &str, expected: &str, found: String) -> Error {
    let (key, expected) = (key.to_owned(), expected.to_owned());
    let remedy = format!("change `{key}`");
    Error::Config { key, expected, found, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_rate_falls_by_two_percent_an_epoch_of_150_steps() {
        let decay = TextTrainConfig::published().decay;
        assert_eq!(decay.factor(149, 150, 0.0), 1.0);
        assert_eq!(decay.factor(150, 150, 0.0), 0.98);
        assert!((decay.factor(30_000, 150, 1.0) - 0.98f64.powi(200)).abs() < 1e-12);
        let linear = TextTrainConfig::small().decay;
        assert_eq!(linear.factor(9, 150, 0.5), 1.0);
        assert!((linear.factor(9, 150, 1.0) - 0.02).abs() < 1e-12);
    }

    #[test]
    fn presets_are_in_range_and_others_are_named() {
        assert!(TextTrainConfig::published().check().is_ok());
        assert!(TextTrainConfig::small().check().is_ok());
        for (key, cfg) in [
            ("batch", TextTrainConfig { batch: 1, ..TextTrainConfig::small() }),
            ("lr", TextTrainConfig { lr: f64::NAN, ..TextTrainConfig::small() }),
            (
                "image",
                TextTrainConfig {
                    image: ImageSide::Convolutions { channels: vec![] },
                    ..TextTrainConfig::small()
                },
            ),
            (
                "encoder.units",
                TextTrainConfig {
                    encoder: CharCnnRnnConfig { units: 0, ..CharCnnRnnConfig::default() },
                    ..TextTrainConfig::small()
                },
            ),
        ] {
            // The name of the field, and of no setting of `train`.
            let error = cfg.check().unwrap_err().to_string();
            assert!(error.contains(&format!("do: change `{key}`")), "{error}");
        }
    }
}
