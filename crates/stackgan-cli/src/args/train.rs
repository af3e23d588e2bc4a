//! The arguments of `stackgan train`, and the sources of settings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use stackgan_core::Stage;
use stackgan_train::policy::OnNonFinite;

use super::eval::Metric;
use super::parsers::{hours, positive};

/// Train one stage. Without further options it trains on toy birds that it draws itself.
#[derive(Args, Clone, Debug)]
#[command(before_help = "Examples:\n  stackgan train --stage 1 --data birds --hours 2.5\n  \
                         stackgan train --stage 1 --preset cub --data data/cub --set optim.batch=32 \\\n      --max-hours 8")]
pub(crate) struct Train {
    /// 1: from a sentence to 64x64. 2: from that picture and the sentence to 256x256
    #[arg(long)]
    pub stage: Stage,
    /// Where the settings come from
    #[command(flatten)]
    pub settings: Settings,
    /// A prepared file, or a dataset folder, which is imported first if needed
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// The text encoder: a file, the folder of a sentence encoder, or `hub:OWNER/NAME`; default:
    /// that of the model to build on or start from, else (presets `toy`, `photo`, `photo-projected`) a small one, trained once
    /// on the captions
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<PathBuf>,
    /// Embeddings made by `data import --embeddings`, instead of an encoder's; default: those
    /// beside the prepared data
    #[arg(long, value_name = "FILE", conflicts_with = "encoder")]
    pub embeddings: Option<PathBuf>,
    /// A pretrained network through which losses look: a file of its weights, or its name if it was
    /// imported. `loss.projected` needs it, and `loss.matching` if the encoder was trained with it
    /// (`text train --features`)
    #[arg(long, value_name = "NAME")]
    pub features: Option<PathBuf>,
    /// The Stage-I model to build on: a file or a run folder; default: the newest finished one of
    /// the preset
    #[arg(long, value_name = "MODEL")]
    pub stage1: Option<PathBuf>,
    /// A model of the same sizes whose generator weights to start from, instead of fresh ones; its
    /// text encoder comes with it
    #[arg(long, value_name = "MODEL")]
    pub init_from: Option<PathBuf>,
    /// The run folder; default: a new one under `runs`
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Whether to resume from the run folder's newest checkpoint
    #[arg(long, value_enum, default_value_t = Resuming::Auto)]
    pub resume: Resuming,
    /// Exit with code 3 if that checkpoint is damaged, instead of using the one before it
    #[arg(long)]
    pub strict: bool,
    /// How long to train: the speed is measured first, and the number of steps that fit is written
    /// into the run's settings, in place of `optim.steps` and `optim.epochs`. The time counts from
    /// there on, without what is prepared before and what `--eval-every` measures. A run that goes on
    /// keeps its steps
    #[arg(long, value_name = "H", value_parser = hours)]
    pub hours: Option<f64>,
    /// Save and stop after this many hours (exit code 75). The time is looked at after every step, also
    /// of a small text encoder's training. What else is made before the first step, such as drawn
    /// birds, an import or embeddings, counts, but is not cut short
    #[arg(long, value_name = "H", value_parser = positive)]
    pub max_hours: Option<f64>,
    /// If a loss or gradient is not finite: `stop` (exit code 7), or `rollback:K`, which returns to
    /// the newest checkpoint and leaves that step out, at most K times; default: as the run was
    /// told before, else `stop`
    #[arg(long, value_name = "stop|rollback:K", value_parser = on_nonfinite)]
    pub on_nonfinite: Option<OnNonFinite>,
    /// Resume although this setting differs from the checkpoint's; can be repeated
    #[arg(long, value_name = "KEY")]
    pub allow_change: Vec<String>,
    /// Sentences of your own, one on each line and at most 8: each has a row in every grid of samples,
    /// below those of the dataset's captions. A run that is gone on with keeps them, unless another
    /// file is given
    #[arg(long, value_name = "FILE")]
    pub sample_captions: Option<PathBuf>,
    /// The measurements while training
    #[command(flatten)]
    pub evaluation: Evaluation,
    /// Print what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// The measurements while training. A run that is gone on with keeps them, unless `--eval-every` is
/// given again.
#[derive(Args, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Evaluation {
    /// Measure the model as `stackgan eval` does, at the first checkpoint after every STEPS steps,
    /// and keep the best; 0: no longer
    #[arg(long, value_name = "STEPS")]
    pub eval_every: Option<u64>,
    /// The measures for it; the first decides which model is the best
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_values_t = [Metric::Kid],
          requires = "eval_every")]
    pub eval_metrics: Vec<Metric>,
    /// Number of pictures to paint for it
    #[arg(long, default_value_t = 400, value_name = "N", requires = "eval_every",
          value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    pub eval_num: u32,
    /// The network that computes features, as in `eval --features`
    #[arg(long, value_name = "NAME", requires = "eval_every")]
    pub eval_features: Option<String>,
    /// The encoder that judges R-precision, as in `eval --judge`
    #[arg(long, value_name = "FILE", requires = "eval_every")]
    pub eval_judge: Option<PathBuf>,
    /// Number of captions among which a picture must find its own, for R-precision; default: 100
    #[arg(long, value_name = "N", requires = "eval_every",
          value_parser = clap::value_parser!(u16).range(2..=10_000))]
    pub eval_candidates: Option<u16>,
}

/// The most bad steps that a run may leave out.
pub(crate) const MOST_ROLLBACKS: u64 = 1000;

fn on_nonfinite(text: &str) -> Result<OnNonFinite, String> {
    let times = text.strip_prefix("rollback:").map(str::parse);
    match (text, times) {
        ("stop", _) => Ok(OnNonFinite::Stop),
        (_, Some(Ok(times))) if (1..=MOST_ROLLBACKS).contains(&times) => {
            Ok(OnNonFinite::Rollback(times))
        }
        _ => Err(format!("expected `stop` or `rollback:K` with K from 1 to {MOST_ROLLBACKS}")),
    }
}

/// Whether to resume a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resuming {
    /// From the newest valid checkpoint, if there is one
    Auto,
    /// Never; refuse a folder that has checkpoints
    Never,
}

/// The sources of the settings. Precedence: flag, `--set`, environment, `--config`, preset.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The dataset whose settings to use: toy, photo, photo-projected, cub, oxford or coco; default:
    /// that of the run or of its Stage-I, else `toy` for toy birds and `photo` for other pictures
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// A TOML file that overrides the preset; it need not be complete
    #[arg(long, env = "STACKGAN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, such as `optim.batch=32`; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Compute each batch in parts of N pictures and average the gradients: the memory of a part,
    /// the time of the whole. The results differ, because batch norm sees one part at a time
    /// (`knobs.micro_batch`)
    #[arg(long, value_name = "N")]
    pub micro_batch: Option<u32>,
    /// The random seed
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl Settings {
    /// The preset that was typed, without its stage: `cub` and `cub-stage1` are `cub`.
    pub(crate) fn preset(&self) -> Option<&str> {
        let name = self.preset.as_deref()?;
        Some(name.split_once("-stage").map_or(name, |(preset, _)| preset))
    }
}
