//! Common GAN options ("knobs") that neither release uses in its published runs.
//!
//! All are off by default, as in the releases; docs/training.md says what each is for. A run
//! without knobs performs exactly the operations of its recipe, to the bit.

use serde::{Deserialize, Serialize};
use stackgan_core::{Recipe, Stage};

use crate::diff_augment::Augmentations;
use crate::ranges::{invalid, within};
use crate::{Error, Result};

/// The knobs of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knobs {
    /// Maximum gradient norm of G (Euclidean, over the whole network); larger gradients are scaled
    /// down. 0 means no limit.
    /// Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks",
    /// algorithm 1.
    pub clip_g: f64,
    /// Maximum gradient norm of D; 0 means no limit.
    pub clip_d: f64,
    /// D's label for real pictures with matching text. 1 in the releases; 0.9 in Salimans et al.
    /// 2016, "Improved techniques for training GANs", section 3.4.
    ///
    /// Labels of wrong and fake pairs stay at 0: the smoothing is one-sided.
    pub real_label: f64,
    /// Whether D's weights are divided by their largest singular values (Miyato et al. 2018).
    pub spectral_norm: bool,
    /// The augmentation of every picture that D sees (Zhao et al. 2020, "DiffAugment").
    pub diff_augment: Augmentations,
    /// Number of D's steps for each of G's: G is updated in every `d_steps`-th step of the run. `k`
    /// in Goodfellow et al. 2014, algorithm 1.
    pub d_steps: u64,
    /// How the generator uses the text.
    pub conditioning: Conditioning,
    /// Number of pictures in each part of a batch (gradient accumulation); 0 processes the whole
    /// batch at once.
    ///
    /// The parts are processed one after the other and their gradients averaged. Memory is that of
    /// one part. Batch norm also uses the statistics of one part, so the result differs from that
    /// of the whole batch.
    pub micro_batch: usize,
    /// Factor on the learning rates of the Stage-I networks while Stage-II is trained; 0 keeps
    /// Stage-I fixed. In the TensorFlow release: `TRAIN.FINETUNE_LR`, with 0.1 as
    /// `TRAIN.FT_LR_RETIO`.
    pub finetune_stage1: f64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            clip_g: 0.0,
            clip_d: 0.0,
            real_label: 1.0,
            spectral_norm: false,
            diff_augment: Augmentations::default(),
            d_steps: 1,
            conditioning: Conditioning::Augmented,
            micro_batch: 0,
            finetune_stage1: 0.0,
        }
    }
}

/// How the generator uses the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conditioning {
    /// c = mu + sigma epsilon (paper, section 3.2).
    Augmented,
    /// c = mu, without a KL term: the paper's ablation "no CA" (section 4.3). In the TensorFlow
    /// release: `TRAIN.COND_AUGMENTATION: False`.
    Mean,
}

impl Knobs {
    /// Whether every knob is off, as in the releases.
    #[must_use]
    pub fn off(&self) -> bool {
        *self == Self::default()
    }

    /// Whether steps with these knobs need nothing from the host, so that a GPU can record one and
    /// replay it.
    pub(crate) fn can_be_recorded(&self) -> bool {
        let diff_augment = Augmentations::default();
        let (real_label, conditioning) = (1.0, Conditioning::Augmented);
        let knobs = Self { real_label, conditioning, diff_augment, ..*self };
        knobs.off() // only these change nothing of what a step asks for
    }

    /// Checks every range, and what the knobs require of the stage, the recipe and the batch size.
    ///
    /// # Errors
    /// [`Error::Config`] names the first invalid key.
    pub(crate) fn check(&self, stage: Stage, recipe: Recipe, batch: usize) -> Result<()> {
        within("knobs.clip_g", self.clip_g, 0.0, 1e9)?;
        within("knobs.clip_d", self.clip_d, 0.0, 1e9)?;
        within("knobs.real_label", self.real_label, 0.5, 1.0)?;
        within("knobs.d_steps", self.d_steps as f64, 1.0, 100.0)?;
        self.check_parts(batch)?;
        within("knobs.finetune_stage1", self.finetune_stage1, 0.0, 1.0)?;
        if self.finetune_stage1 == 0.0 {
            return Ok(());
        }
        let key = "knobs.finetune_stage1";
        let refuse =
            |expected: &str| Err(invalid(key, expected, &self.finetune_stage1.to_string()));
        match (stage, recipe, self.spectral_norm) {
            (Stage::One, ..) => refuse("0 in Stage-I"),
            (_, Recipe::Plain, _) => refuse("0 in the plain recipe, whose release has no such"),
            (.., true) => refuse("0 with `knobs.spectral_norm`: Stage-I's D was trained without"),
            _ => Ok(()),
        }
    }

    /// Checks that `batch` divides into equal parts of at least two pictures.
    fn check_parts(&self, batch: usize) -> Result<()> {
        let n = self.micro_batch;
        let fits = |n: &usize| *n >= 2 && batch.is_multiple_of(*n);
        if n == 0 || fits(&n) {
            return Ok(());
        }
        let near = (2..=batch).filter(fits).min_by_key(|fit| fit.abs_diff(n)).unwrap_or(batch);
        let up = batch.next_multiple_of(n.max(2));
        Err(Error::Config {
            key: "knobs.micro_batch".to_owned(),
            expected: format!("2 or more pictures, of which a batch of {batch} is a multiple"),
            found: n.to_string(),
            remedy: format!(
                "give `--micro-batch {near}`, or `--set optim.batch={up}`; 0 takes the batch as a whole"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use stackgan_core::generator_noise::Scales;

    use super::*;
    use crate::config::{TrainConfig, preset};

    fn with(preset_name: &str, lines: &str) -> Result<TrainConfig> {
        let text = preset(preset_name).unwrap();
        let (before, after) = text.split_once("[knobs]").unwrap();
        let after = after.split_once("[run]").unwrap().1;
        TrainConfig::from_toml(&format!("{before}\n[knobs]\n{lines}\n[run]{after}"))
    }

    /// Checkpoint hashes must not change because a new knob exists.
    #[test]
    fn knobs_that_are_off_are_not_written() {
        for (name, text) in crate::config::PRESETS {
            let config = TrainConfig::from_toml(text).unwrap();
            let off = !name.starts_with("photo-projected");
            assert_eq!(config.knobs.off(), off, "{name}");
            let written = config.to_toml().unwrap();
            assert_eq!(!written.contains("knobs"), off, "{written}");
            assert_eq!(TrainConfig::from_toml(&written).unwrap(), config);
        }
        let config = with("cub-stage1", "diff_augment = \"translation,color\"").unwrap();
        let written = config.to_toml().unwrap();
        assert!(written.contains("diff_augment = \"colour,translation\""), "{written}");
        assert_eq!(TrainConfig::from_toml(&written).unwrap(), config);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for (preset, lines, words) in [
            ("cub-stage1", "real_label = 0.2", "knobs.real_label"),
            ("cub-stage1", "clip_g = -1.0", "knobs.clip_g"),
            ("cub-stage1", "d_steps = 0", "knobs.d_steps"),
            ("cub-stage1", "finetune_stage1 = 0.1", "0 in Stage-I, found 0.1"),
            ("coco-stage2", "finetune_stage1 = 0.1", "plain"),
            ("cub-stage2", "finetune_stage1 = 0.1\nspectral_norm = true", "spectral_norm"),
            ("toy-stage2", "finetune_stage1 = 0.1", "optim.ema"),
            ("cub-stage1", "micro_batch = 24", "--micro-batch 16`, or `--set optim.batch=72"),
            ("cub-stage1", "micro_batch = 1", "--micro-batch 2"),
            ("cub-stage1", "micro_batch = 128", "--micro-batch 64"),
            ("cub-stage1", "diff_augment = \"colour,zoom\"", "zoom"),
            ("cub-stage1", "label_smoothing = 0.1", "label_smoothing"),
        ] {
            let error = with(preset, lines).unwrap_err().to_string();
            assert!(error.contains(words), "{lines}: {error}");
        }
        with("cub-stage2", "finetune_stage1 = 0.1").unwrap();
    }

    #[test]
    fn what_the_host_must_read_or_draw_is_not_recorded() {
        let recorded = |preset, line| with(preset, line).unwrap().knobs.can_be_recorded();
        let queued_alike =
            ["", "real_label = 0.9", "conditioning = \"mean\"", "diff_augment = \"cutout\""];
        for line in queued_alike {
            assert!(recorded("cub-stage1", line), "{line}");
        }
        for line in [
            "clip_g = 1.0",
            "clip_d = 1.0",
            "spectral_norm = true",
            "d_steps = 2",
            "micro_batch = 16",
        ] {
            assert!(!recorded("cub-stage1", line), "{line}");
        }
        assert!(!recorded("cub-stage2", "finetune_stage1 = 0.1"));
    }

    #[test]
    fn without_augmentation_there_is_no_epsilon_and_no_kl() {
        let config = with("cub-stage1", "conditioning = \"mean\"").unwrap();
        let mean = Scales { z: 1.0, eps: 0.0 };
        assert_eq!([config.train_scales(), config.sample_scales()], [mean; 2]);
        assert_eq!(config.kl(), 0.0);
        assert_eq!(with("cub-stage1", "").unwrap().kl(), 2.0);
    }
}
