//! Everything a training run is told: complete, checked once, stored with the run.
//!
//! A preset is a complete commented TOML file under `presets/`; unknown keys are refused.

use serde::{Deserialize, Serialize};
use stackgan_core::gan::{Epsilon, Stage1Statistics};
use stackgan_core::{NetConfig, Recipe};
use stackgan_data::crop::PictureSize;
use stackgan_data::plan::{CaptionRule, CropOffsets, Flip, PlanConfig, WrongPairs};

use crate::adam::Betas;
use crate::knobs::Knobs;
use crate::penalty::R1;
use crate::schedule::Decay;
use crate::{Error, Result};

/// The presets by name: (name, TOML text). A name is `DATASET-stageN`.
pub const PRESETS: &[(&str, &str)] = &[
    ("toy-stage1", include_str!("../presets/toy-stage1.toml")),
    ("toy-stage2", include_str!("../presets/toy-stage2.toml")),
    ("cub-stage1", include_str!("../presets/cub-stage1.toml")),
    ("cub-stage2", include_str!("../presets/cub-stage2.toml")),
    ("oxford-stage1", include_str!("../presets/oxford-stage1.toml")),
    ("oxford-stage2", include_str!("../presets/oxford-stage2.toml")),
    ("coco-stage1", include_str!("../presets/coco-stage1.toml")),
    ("coco-stage2", include_str!("../presets/coco-stage2.toml")),
];

/// The TOML text of a preset.
#[must_use]
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// One of the two stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Stage {
    /// 64x64 from text and noise.
    One,
    /// 256x256 from text and a Stage-I picture.
    Two,
}

impl TryFrom<u8> for Stage {
    type Error = String;
    fn try_from(n: u8) -> std::result::Result<Self, String> {
        match n {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            _ => Err(format!("expected stage 1 or 2, found {n}")),
        }
    }
}

impl From<Stage> for u8 {
    fn from(stage: Stage) -> Self {
        stage.number()
    }
}

impl Stage {
    /// 1 or 2.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The size of its pictures.
    #[must_use]
    pub const fn picture_size(self) -> PictureSize {
        match self {
            Self::One => PictureSize::Stage1,
            Self::Two => PictureSize::Stage2,
        }
    }
}

/// A whole training run of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Which stage is trained.
    pub stage: Stage,
    /// The seed of everything random.
    pub seed: u64,
    /// Sizes of the networks.
    pub net: NetConfig,
    /// What a batch is made of.
    pub data: DataConfig,
    /// Batch size, length and learning rates.
    pub optim: OptimConfig,
    /// Weights of the loss terms.
    pub loss: LossConfig,
    /// Noise while training and while sampling.
    pub noise: NoiseConfig,
    /// When to report, paint and save.
    pub run: RunConfig,
    /// What users of GANs expect and the releases do not have; absent where all is off.
    #[serde(default, skip_serializing_if = "Knobs::off")]
    pub knobs: Knobs,
}

/// What a batch is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Fewest captions whose embeddings are averaged; 4 in the TensorFlow release, 1 in the PyTorch release.
    pub captions_min: usize,
    /// Most captions whose embeddings are averaged.
    pub captions_max: usize,
    /// Where wrong pictures come from.
    pub wrong: Wrong,
    /// Where a crop may lie.
    pub crop: Crop,
    /// Whether half of the pictures are mirrored.
    pub flip: bool,
    /// Subtract the mean of the training captions' embeddings and divide by their overall standard deviation. Off as
    /// released.
    pub embedding_standardise: bool,
}

/// Where wrong pictures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// A picture of another class, checked.
    OtherClass,
    /// As the TensorFlow release: one common shift of 100 to 199 where classes collide, not checked again.
    AsReleased,
    /// Nowhere: D tells real from painted pairs alone, both with full weight; the TensorFlow release with `B_WRONG` off.
    None,
    /// None: the PyTorch release shifts the text inside the batch instead.
    NextText,
    /// As `next-text`, but each picture takes the next text whose picture is of another class.
    NextTextOtherClass,
}

/// Where a crop may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// The last offset is never used (TensorFlow release).
    AsReleased,
    /// Every offset (PyTorch release).
    Inclusive,
}

/// Batch size, length and learning rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimConfig {
    /// Pictures in a batch, at least 2.
    pub batch: usize,
    /// Length of the run in epochs; 0 when `steps` says it.
    pub epochs: u64,
    /// Length of the run in steps; 0 when `epochs` says it.
    pub steps: u64,
    /// Learning rate of G.
    pub lr_g: f64,
    /// Learning rate of D.
    pub lr_d: f64,
    /// How both fall.
    pub decay: Decay,
    /// Adam's decay of the first moment.
    pub beta1: f64,
    /// Adam's decay of the second moment.
    pub beta2: f64,
    /// Adam's epsilon.
    pub eps: f64,
    /// Decay of the running average of G; 0 turns it off.
    pub ema: f64,
}

/// Weights of the loss terms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Weight of the mean KL; reference: `COEFF.KL`.
    pub kl: f64,
    /// The penalty on D's slope; gamma 0 as released.
    pub r1: R1,
    /// Weight of Stage-II's colour consistency; 0 as released.
    pub colour_consistency: f64,
    /// Weight of the matching loss ([`crate::matching`]); 0 as released, and then absent. `AttnGAN` has 5 for birds.
    #[serde(default, skip_serializing_if = "off")]
    pub matching: f64,
}

/// Whether a weight is 0: what checkpoints hash must not change because there is a term that is off.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands on a reference")]
fn off(weight: &f64) -> bool {
    *weight == 0.0
}

/// Noise while training and while sampling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseConfig {
    /// Distribution of conditioning augmentation's epsilon.
    pub epsilon: EpsilonName,
    /// Scale of `z` in training; 1 as released.
    pub train_z: f64,
    /// Scale of epsilon in training; 1 as released.
    pub train_eps: f64,
    /// Scale of `z` in sampling, stored in the model; 1 as released.
    pub sample_z: f64,
    /// Scale of epsilon in sampling, stored in the model; 1 as released.
    pub sample_eps: f64,
    /// Statistics of Stage-I's batch norms in Stage-II's training.
    pub stage1_statistics: Stage1Statistics,
}

/// Distribution of conditioning augmentation's epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpsilonName {
    /// N(0, 1).
    Normal,
    /// N(0, 1) cut at 2.
    Truncated,
}

impl From<EpsilonName> for Epsilon {
    fn from(name: EpsilonName) -> Self {
        match name {
            EpsilonName::Normal => Self::Normal,
            EpsilonName::Truncated => Self::Truncated,
        }
    }
}

/// When to report, paint and save. All in steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// A line in `stats.jsonl` every so many steps.
    pub report_every: u64,
    /// A grid of fixed captions and fixed noise every so many steps.
    pub sample_every: u64,
    /// A checkpoint every so many steps.
    pub checkpoint_every: u64,
    /// Checkpoints kept, at least 2.
    pub keep: usize,
    /// Batches prepared ahead.
    pub prefetch: usize,
}

impl TrainConfig {
    /// Reads a complete configuration.
    ///
    /// # Errors
    /// [`Error::Config`] with the parser's message for unknown, missing or mistyped keys, and for values out of range.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| Error::Config {
            key: "configuration".to_owned(),
            expected: "a complete TOML configuration".to_owned(),
            found: e.to_string(),
            remedy: "start from a preset: `stackgan config presets`".to_owned(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as TOML: what a run folder keeps.
    ///
    /// # Errors
    /// Never for a checked configuration.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self)
            .map_err(|e| invalid("configuration", "writable values", &e.to_string()))
    }

    /// The settings that a configuration leaves out where they are off, by key, as they then are.
    #[must_use]
    pub fn absent_when_off() -> Vec<(String, toml::Value)> {
        let knobs = toml::Table::try_from(Knobs::default()).unwrap_or_default();
        let knobs = knobs.into_iter().map(|(key, value)| (format!("knobs.{key}"), value));
        knobs.chain([("loss.matching".to_owned(), toml::Value::Float(0.0))]).collect()
    }

    /// Checks every range and how settings fit together.
    ///
    /// # Errors
    /// [`Error::Config`] names the first key that cannot be used.
    pub fn check(&self) -> Result<()> {
        self.net.check().map_err(|error| match error {
            stackgan_core::Error::Config { key, expected, found } => {
                invalid(&format!("net.{key}"), &expected, &found)
            }
            error => error.into(),
        })?;
        let (o, d, l, n, r) = (&self.optim, &self.data, &self.loss, &self.noise, &self.run);
        at_least("optim.batch", o.batch as f64, 2.0)?;
        if (o.epochs == 0) == (o.steps == 0) {
            let found = format!("epochs = {}, steps = {}", o.epochs, o.steps);
            return Err(invalid(
                "optim.epochs",
                "either `epochs` or `steps` above 0, the other 0",
                &found,
            ));
        }
        within("optim.epochs", o.epochs as f64, 0.0, 1e9)?;
        within("optim.steps", o.steps as f64, 0.0, 1e12)?;
        for (key, lr) in [("optim.lr_g", o.lr_g), ("optim.lr_d", o.lr_d)] {
            within(key, lr, 1e-9, 1.0)?;
        }
        within("optim.beta1", o.beta1, 0.0, 0.999_999)?;
        within("optim.beta2", o.beta2, 0.0, 0.999_999_9)?;
        within("optim.eps", o.eps, 1e-12, 1.0)?;
        within("optim.ema", o.ema, 0.0, 0.999_999)?;
        if let Decay::Linear { from, to } = o.decay {
            within("optim.decay.from", from, 0.0, 1.0)?;
            within("optim.decay.to", to, 0.0, 1.0)?;
        }
        within("data.captions_min", d.captions_min as f64, 1.0, 100.0)?;
        within("data.captions_max", d.captions_max as f64, d.captions_min as f64, 100.0)?;
        match (self.net.recipe, d.wrong) {
            (Recipe::Plain, Wrong::NextText | Wrong::NextTextOtherClass)
            | (Recipe::Residual, Wrong::OtherClass | Wrong::AsReleased | Wrong::None) => {}
            (Recipe::Plain, _) => {
                let expected = "`next-text` or `next-text-other-class` for the plain recipe";
                return Err(invalid("data.wrong", expected, "another"));
            }
            (Recipe::Residual, _) => {
                let expected = "`other-class`, `as-released` or `none` for the residual recipe";
                return Err(invalid("data.wrong", expected, "another"));
            }
        }
        self.knobs.check(self)?;
        within("loss.kl", l.kl, 0.0, 1000.0)?;
        within("loss.r1.gamma", l.r1.gamma, 0.0, 1e6)?;
        if l.r1.gamma > 0.0 {
            at_least("loss.r1.every", l.r1.every as f64, 1.0)?;
        }
        within("loss.colour_consistency", l.colour_consistency, 0.0, 1e4)?;
        if self.stage == Stage::One && l.colour_consistency > 0.0 {
            let found = l.colour_consistency.to_string();
            return Err(invalid(
                "loss.colour_consistency",
                "0 in Stage-I, which has no smaller picture",
                &found,
            ));
        }
        within("loss.matching", l.matching, 0.0, 1e4)?;
        for (key, scale) in [
            ("noise.train_z", n.train_z),
            ("noise.train_eps", n.train_eps),
            ("noise.sample_z", n.sample_z),
            ("noise.sample_eps", n.sample_eps),
        ] {
            within(key, scale, 0.0, 4.0)?;
        }
        for (key, every) in [
            ("run.report_every", r.report_every),
            ("run.sample_every", r.sample_every),
            ("run.checkpoint_every", r.checkpoint_every),
        ] {
            at_least(key, every as f64, 1.0)?;
        }
        at_least("run.keep", r.keep as f64, 2.0)?;
        within("run.prefetch", r.prefetch as f64, 0.0, 64.0)
    }

    /// Adam's constants.
    #[must_use]
    pub const fn betas(&self) -> Betas {
        Betas { beta1: self.optim.beta1, beta2: self.optim.beta2, eps: self.optim.eps }
    }

    /// What the data crate needs to know to plan batches.
    #[must_use]
    pub const fn plan(&self) -> PlanConfig {
        PlanConfig {
            batch: self.optim.batch,
            size: self.stage.picture_size(),
            offsets: match self.data.crop {
                Crop::AsReleased => CropOffsets::AsReleased,
                Crop::Inclusive => CropOffsets::Inclusive,
            },
            captions: CaptionRule::Mean {
                min: self.data.captions_min,
                max: self.data.captions_max,
            },
            wrong: match self.data.wrong {
                Wrong::OtherClass => WrongPairs::OtherClass,
                Wrong::AsReleased => WrongPairs::AsReleased,
                Wrong::None | Wrong::NextText | Wrong::NextTextOtherClass => WrongPairs::None,
            },
            flip: if self.data.flip { Flip::Half } else { Flip::Never },
        }
    }

    /// Steps of the whole run.
    #[must_use]
    pub const fn total_steps(&self, steps_per_epoch: u64) -> u64 {
        if self.optim.steps > 0 {
            self.optim.steps
        } else {
            self.optim.epochs.saturating_mul(steps_per_epoch)
        }
    }
}

pub(crate) fn invalid(key: &str, expected: &str, found: &str) -> Error {
    Error::Config {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy: format!("change `{key}` in the configuration, or give `--set {key}=…`"),
    }
}

pub(crate) fn within(key: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(key, &format!("{low} to {high}"), &value.to_string()))
}

fn at_least(key: &str, value: f64, low: f64) -> Result<()> {
    within(key, value, low, 1e12)
}
