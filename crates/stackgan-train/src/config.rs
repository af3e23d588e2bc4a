//! The configuration of a training run: complete, checked once and stored with the run.
//!
//! A preset is a complete, commented TOML file under `presets/`. Unknown keys are rejected.

use serde::{Deserialize, Serialize};
use stackgan_core::generator::Stage1Statistics;
use stackgan_core::generator_noise::{Epsilon, LARGEST_SCALE, Scales};
use stackgan_core::{NetConfig, Recipe, Stage};
use stackgan_data::crop::PictureSize;
use stackgan_data::plan::{Captions, CropOffsets, Flip, PlanConfig, WrongPairs};

use crate::adam::Betas;
use crate::knobs::{Conditioning, Knobs};
use crate::r1::R1;
use crate::ranges::{LARGEST_BATCH, at_least, invalid, within};
use crate::schedule::Decay;
use crate::{Error, Result};

/// The presets as (name, TOML text). A name is `DATASET-stageN`.
pub const PRESETS: &[(&str, &str)] = &[
    ("toy-stage1", include_str!("../presets/toy-stage1.toml")),
    ("toy-stage2", include_str!("../presets/toy-stage2.toml")),
    ("photo-stage1", include_str!("../presets/photo-stage1.toml")),
    ("photo-stage2", include_str!("../presets/photo-stage2.toml")),
    ("photo-projected-stage1", include_str!("../presets/photo-projected-stage1.toml")),
    ("photo-projected-stage2", include_str!("../presets/photo-projected-stage2.toml")),
    ("cub-stage1", include_str!("../presets/cub-stage1.toml")),
    ("cub-stage2", include_str!("../presets/cub-stage2.toml")),
    // The release's settings of birds and flowers are the same.
    ("oxford-stage1", include_str!("../presets/cub-stage1.toml")),
    ("oxford-stage2", include_str!("../presets/cub-stage2.toml")),
    ("coco-stage1", include_str!("../presets/coco-stage1.toml")),
    ("coco-stage2", include_str!("../presets/coco-stage2.toml")),
];

/// The TOML text of the preset called `name`.
#[must_use]
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// Returns the size of the pictures that `stage` generates.
#[must_use]
pub const fn picture_size(stage: Stage) -> PictureSize {
    match stage {
        Stage::One => PictureSize::Stage1,
        Stage::Two => PictureSize::Stage2,
    }
}

/// The configuration of a complete training run of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Which stage is trained.
    pub stage: Stage,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Sizes of the networks.
    pub net: NetConfig,
    /// How batches are made.
    pub data: DataConfig,
    /// Batch size, length and learning rates.
    pub optim: OptimConfig,
    /// Weights of the loss terms.
    pub loss: LossConfig,
    /// Noise in training and in sampling.
    pub noise: NoiseConfig,
    /// When to report, generate samples and save.
    pub run: RunConfig,
    /// Common GAN options that no published run uses. The table is left out when all are off.
    #[serde(default, skip_serializing_if = "Knobs::off")]
    pub knobs: Knobs,
}

/// How batches are made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Fewest captions whose embeddings are averaged. The TensorFlow release uses 4, the PyTorch
    /// release 1.
    pub captions_min: usize,
    /// Most captions whose embeddings are averaged.
    pub captions_max: usize,
    /// How mismatched ("wrong") pairs are made.
    pub wrong: Wrong,
    /// Which crop offsets are allowed.
    pub crop: CropOffsets,
    /// Whether each picture is mirrored with probability one half.
    pub flip: bool,
    /// Whether to subtract the mean of the training captions' embeddings and divide by their
    /// overall standard deviation. Off in the releases.
    pub embedding_standardise: bool,
}

impl DataConfig {
    fn check(&self, recipe: Recipe) -> Result<()> {
        within("data.captions_min", self.captions_min as f64, 1.0, 100.0)?;
        let least = self.captions_min as f64;
        within("data.captions_max", self.captions_max as f64, least, 100.0)?;
        let expected = match (recipe, self.wrong) {
            (Recipe::Plain, Wrong::NextText | Wrong::NextTextOtherClass)
            | (Recipe::Residual, Wrong::OtherClass | Wrong::AsReleased | Wrong::None) => {
                return Ok(());
            }
            (Recipe::Plain, _) => "`next-text` or `next-text-other-class` for the plain recipe",
            (Recipe::Residual, _) => {
                "`other-class`, `as-released` or `none` for the residual recipe"
            }
        };
        Err(invalid("data.wrong", expected, &serde_json::json!(self.wrong).to_string()))
    }
}

/// How mismatched ("wrong") pairs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// A picture of another class; the class is checked.
    OtherClass,
    /// As in the TensorFlow release: where classes collide, one shift of 100 to 199 for the whole
    /// batch, which is not checked again.
    AsReleased,
    /// No wrong pairs: D only tells real from generated pairs, both with full weight. This is the
    /// TensorFlow release with `B_WRONG` off.
    None,
    /// No wrong pictures: as in the PyTorch release, the text is shifted by one within the batch
    /// instead.
    NextText,
    /// As `next-text`, but each picture gets the next text whose picture is of another class.
    NextTextOtherClass,
}

/// Batch size, length and learning rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimConfig {
    /// Pictures in a batch, at least 2.
    pub batch: usize,
    /// Length of the run in epochs; 0 if `steps` gives the length.
    pub epochs: u64,
    /// Length of the run in steps; 0 if `epochs` gives the length.
    pub steps: u64,
    /// Learning rate of G.
    pub lr_g: f64,
    /// Learning rate of D.
    pub lr_d: f64,
    /// How both learning rates decay.
    pub decay: Decay,
    /// Adam's decay rate of the first moment.
    pub beta1: f64,
    /// Adam's decay rate of the second moment.
    pub beta2: f64,
    /// Adam's epsilon.
    pub eps: f64,
    /// Decay rate of the running average of G; 0 turns the average off.
    pub ema: f64,
}

impl OptimConfig {
    fn check(&self) -> Result<()> {
        within("optim.batch", self.batch as f64, 2.0, LARGEST_BATCH as f64)?;
        if (self.epochs == 0) == (self.steps == 0) {
            return Err(Error::Config {
                key: "optim.epochs".to_owned(),
                expected: "either `epochs` or `steps` above 0, the other 0".to_owned(),
                found: format!("epochs = {}, steps = {}", self.epochs, self.steps),
                remedy: "give one of them, and 0 for the other".to_owned(),
            });
        }
        within("optim.epochs", self.epochs as f64, 0.0, 1e9)?;
        within("optim.steps", self.steps as f64, 0.0, 1e12)?;
        within("optim.lr_g", self.lr_g, 1e-9, 1.0)?;
        within("optim.lr_d", self.lr_d, 1e-9, 1.0)?;
        within("optim.beta1", self.beta1, 0.0, 0.999_999)?;
        within("optim.beta2", self.beta2, 0.0, 0.999_999_9)?;
        within("optim.eps", self.eps, 1e-12, 1.0)?;
        within("optim.ema", self.ema, 0.0, 0.999_999)?;
        match self.decay {
            Decay::Halve { every } => at_least("optim.decay.every", every as f64, 1.0),
            Decay::Linear { from, to } => {
                within("optim.decay.from", from, 0.0, 1.0)?;
                within("optim.decay.to", to, 0.0, 1.0)
            }
            Decay::Constant => Ok(()),
        }
    }
}

/// Weights of the loss terms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Weight of the mean KL divergence; `COEFF.KL` in the releases.
    pub kl: f64,
    /// The R1 gradient penalty of D; gamma is 0 in the releases.
    pub r1: R1,
    /// Weight of the colour-consistency loss of Stage-II; 0 in the releases.
    pub colour_consistency: f64,
    /// Weight of the matching loss ([`crate::matching`]). 0 in the releases; the key is left out
    /// when 0. `AttnGAN` uses 5 for birds.
    #[serde(default, skip_serializing_if = "off")]
    pub matching: f64,
    /// Weight of the second discriminator ([`crate::projected`]) in the losses of both players. 0 in
    /// the releases; the key is left out when 0.
    #[serde(default, skip_serializing_if = "off")]
    pub projected: f64,
    /// Weight of the mode-seeking loss of Stage-I ([`stackgan_core::losses::mode_seeking`]). 0 in the
    /// releases; the key is left out when 0. 1 in Mao et al. 2019.
    #[serde(default, skip_serializing_if = "off")]
    pub mode_seeking: f64,
}

impl LossConfig {
    fn check(&self, stage: Stage) -> Result<()> {
        within("loss.kl", self.kl, 0.0, 1000.0)?;
        within("loss.r1.gamma", self.r1.gamma, 0.0, 1e6)?;
        if self.r1.gamma > 0.0 {
            at_least("loss.r1.every", self.r1.every as f64, 1.0)?;
        }
        within("loss.colour_consistency", self.colour_consistency, 0.0, 1e4)?;
        within("loss.matching", self.matching, 0.0, 1e4)?;
        within("loss.projected", self.projected, 0.0, 1e4)?;
        within("loss.mode_seeking", self.mode_seeking, 0.0, 1e4)?;
        let (key, weight, expected) = match stage {
            Stage::One => {
                let expected = "0 in Stage-I, which has no smaller picture";
                ("loss.colour_consistency", self.colour_consistency, expected)
            }
            Stage::Two => {
                let expected = "0 in Stage-II, which paints what Stage-I drew from the noise";
                ("loss.mode_seeking", self.mode_seeking, expected)
            }
        };
        if weight > 0.0 {
            return Err(invalid(key, expected, &weight.to_string()));
        }
        Ok(())
    }
}

/// Whether a weight or an interval is 0. It is not serialised then, so that adding a setting does not
/// change the hash of existing checkpoints.
fn off<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
}

/// Noise in training and in sampling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseConfig {
    /// Distribution of the epsilon of conditioning augmentation.
    pub epsilon: Epsilon,
    /// Scale of `z` in training; 1 in the releases.
    pub train_z: f64,
    /// Scale of epsilon in training; 1 in the releases.
    pub train_eps: f64,
    /// Scale of `z` in sampling, stored in the model; 1 in the releases.
    pub sample_z: f64,
    /// Scale of epsilon in sampling, stored in the model; 1 in the releases.
    pub sample_eps: f64,
    /// Which batch-norm statistics Stage-I uses while Stage-II is trained.
    pub stage1_statistics: Stage1Statistics,
}

impl NoiseConfig {
    fn check(&self, stage: Stage) -> Result<()> {
        if stage == Stage::One && self.stage1_statistics != Stage1Statistics::Batch {
            let expected = "`batch` in Stage-I: the setting is about training Stage-II";
            return Err(invalid("noise.stage1_statistics", expected, "running"));
        }
        within("noise.train_z", self.train_z, 0.0, LARGEST_SCALE)?;
        within("noise.train_eps", self.train_eps, 0.0, LARGEST_SCALE)?;
        within("noise.sample_z", self.sample_z, 0.0, LARGEST_SCALE)?;
        within("noise.sample_eps", self.sample_eps, 0.0, LARGEST_SCALE)
    }
}

/// When to report, generate samples and save, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Interval of the lines in `stats.jsonl`.
    pub report_every: u64,
    /// Interval of the sample grids, which have fixed captions and fixed noise.
    pub sample_every: u64,
    /// Interval of the checkpoints.
    pub checkpoint_every: u64,
    /// Number of checkpoints to keep, at least 2.
    pub keep: usize,
    /// Checkpoints of the steps that are multiples of this are kept besides; 0 keeps none.
    #[serde(default, skip_serializing_if = "off")]
    pub keep_every: u64,
    /// Number of batches to prepare ahead.
    pub prefetch: usize,
}

impl RunConfig {
    fn check(&self) -> Result<()> {
        at_least("run.report_every", self.report_every as f64, 1.0)?;
        at_least("run.sample_every", self.sample_every as f64, 1.0)?;
        at_least("run.checkpoint_every", self.checkpoint_every as f64, 1.0)?;
        at_least("run.keep", self.keep as f64, 2.0)?;
        within("run.prefetch", self.prefetch as f64, 0.0, 64.0)
    }
}

impl TrainConfig {
    /// Parses and checks a complete configuration.
    ///
    /// # Errors
    /// [`Error::Config`] with the parser's message for unknown, missing or mistyped keys, and for
    /// values out of range.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Error::Config {
                key: "configuration".to_owned(),
                expected: "a complete TOML configuration".to_owned(),
                found: format!("line {line}: {}", e.message().trim().replace('\n', "; ")),
                remedy: "start from a preset: `stackgan config presets`".to_owned(),
            }
        })?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as TOML, as it is stored in a run folder.
    ///
    /// # Errors
    /// Never for a checked configuration.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self)
            .map_err(|e| invalid("configuration", "writable values", &e.to_string()))
    }

    /// The keys that a configuration omits when they are off, with their "off" values.
    #[must_use]
    pub fn absent_when_off() -> Vec<(String, toml::Value)> {
        let knobs = toml::Table::try_from(Knobs::default()).unwrap_or_default();
        let knobs = knobs.into_iter().map(|(key, value)| (format!("knobs.{key}"), value));
        let others = [
            ("loss.matching".to_owned(), toml::Value::Float(0.0)),
            ("loss.projected".to_owned(), toml::Value::Float(0.0)),
            ("loss.mode_seeking".to_owned(), toml::Value::Float(0.0)),
            ("run.keep_every".to_owned(), toml::Value::Integer(0)),
        ];
        knobs.chain(others).collect()
    }

    /// Checks every range, and that the settings are consistent with each other.
    ///
    /// # Errors
    /// [`Error::Config`] names the first invalid key.
    pub fn check(&self) -> Result<()> {
        self.net.check().map_err(|error| match error {
            stackgan_core::Error::Config { key, expected, found } => {
                invalid(&format!("net.{key}"), &expected, &found)
            }
            error => error.into(),
        })?;
        self.optim.check()?;
        self.data.check(self.net.recipe)?;
        self.knobs.check(self.stage, self.net.recipe, self.optim.batch)?;
        if self.knobs.finetune_stage1 > 0.0 && self.optim.ema > 0.0 {
            // The average of Stage-II would be painted over a Stage-I that is not averaged.
            let expected = "0 with `knobs.finetune_stage1`: Stage-I has no running average";
            return Err(invalid("optim.ema", expected, &self.optim.ema.to_string()));
        }
        if self.optim.steps > 0 {
            self.check_moves(self.optim.steps)?;
        }
        self.loss.check(self.stage)?;
        self.noise.check(self.stage)?;
        if self.loss.mode_seeking > 0.0 && self.noise.train_z == 0.0 {
            let expected = "above 0 with `loss.mode_seeking`, which compares draws";
            return Err(invalid("noise.train_z", expected, "0"));
        }
        self.run.check()
    }

    /// Checks that a run of `steps` steps moves G at all.
    pub(crate) fn check_moves(&self, steps: u64) -> Result<()> {
        let d_steps = self.knobs.d_steps;
        if d_steps <= steps {
            return Ok(());
        }
        let expected = format!("at most the {steps} steps of the run, or G never moves");
        Err(invalid("knobs.d_steps", &expected, &d_steps.to_string()))
    }

    /// Adam's constants.
    #[must_use]
    pub const fn betas(&self) -> Betas {
        Betas { beta1: self.optim.beta1, beta2: self.optim.beta2, eps: self.optim.eps }
    }

    /// The part of the configuration that the data crate needs to plan batches.
    #[must_use]
    pub const fn plan(&self) -> PlanConfig {
        PlanConfig {
            batch: self.optim.batch,
            size: picture_size(self.stage),
            offsets: self.data.crop,
            captions: Captions { min: self.data.captions_min, max: self.data.captions_max },
            wrong: match self.data.wrong {
                Wrong::OtherClass => WrongPairs::OtherClass,
                Wrong::AsReleased => WrongPairs::AsReleased,
                Wrong::None | Wrong::NextText | Wrong::NextTextOtherClass => WrongPairs::None,
            },
            flip: if self.data.flip { Flip::Half } else { Flip::Never },
        }
    }

    /// Number of steps of the whole run.
    #[must_use]
    pub const fn total_steps(&self, steps_per_epoch: u64) -> u64 {
        if self.optim.steps > 0 {
            self.optim.steps
        } else {
            self.optim.epochs.saturating_mul(steps_per_epoch)
        }
    }

    /// Number of pictures in a part of the batch: the whole batch, unless `knobs.micro_batch` is
    /// set.
    #[must_use]
    pub const fn micro_batch(&self) -> usize {
        match self.knobs.micro_batch {
            0 => self.optim.batch,
            n => n,
        }
    }

    /// Scales of `z` and of epsilon in training.
    #[must_use]
    pub fn train_scales(&self) -> Scales {
        Scales { z: self.noise.train_z, eps: self.epsilon_scale(self.noise.train_eps) }
    }

    /// Scales of `z` and of epsilon in sampling.
    #[must_use]
    pub fn sample_scales(&self) -> Scales {
        Scales { z: self.noise.sample_z, eps: self.epsilon_scale(self.noise.sample_eps) }
    }

    /// Weight of the KL term.
    #[must_use]
    pub fn kl(&self) -> f64 {
        self.epsilon_scale(self.loss.kl)
    }

    fn epsilon_scale(&self, augmented: f64) -> f64 {
        match self.knobs.conditioning {
            Conditioning::Augmented => augmented,
            Conditioning::Mean => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_setting_is_told_with_its_line() {
        let text = preset("toy-stage1").unwrap().replacen("seed =", "sed =", 1);
        let line = text.lines().position(|line| line.starts_with("sed =")).unwrap() + 1;
        let error = TrainConfig::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}: ")) && error.contains("`sed`"), "{error}");
    }

    #[test]
    fn settings_that_would_do_nothing_are_refused() {
        let toy = TrainConfig::from_toml(preset("toy-stage1").unwrap()).unwrap();
        let [mut few, mut never, mut elsewhere] = [(); 3].map(|()| toy.clone());
        (few.optim.steps, few.knobs.d_steps) = (5, 6);
        never.optim.decay = Decay::Halve { every: 0 };
        elsewhere.noise.stage1_statistics = Stage1Statistics::Running;
        for (cfg, key) in [
            (few, "knobs.d_steps"),
            (never, "optim.decay.every"),
            (elsewhere, "noise.stage1_statistics"),
        ] {
            let error = cfg.check().unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
