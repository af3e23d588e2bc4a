//! `train`, and where settings come from.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use stackgan_core::Stage;
use stackgan_train::policy::OnNonFinite;

use super::{Metric, positive};

/// Train one stage. With nothing but the stage it trains on toy birds that it draws itself.
#[derive(Args, Clone, Debug)]
#[command(before_help = "Examples:\n  stackgan train --stage 1\n  \
                         stackgan train --stage 1 --preset cub --data data/cub --set optim.batch=32 --max-hours 8")]
pub(crate) struct Train {
    /// 1: a sentence to 64x64. 2: that picture and the sentence to 256x256
    #[arg(long)]
    pub stage: Stage,
    /// Where the settings come from
    #[command(flatten)]
    pub settings: Settings,
    /// A prepared file or a dataset folder, which is imported first, once
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// The text encoder: a file, the folder of a sentence encoder, or `hub:OWNER/NAME`; unless told, a small one is trained
    /// on toy birds' captions, once
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<PathBuf>,
    /// Embeddings that `data import --embeddings` made, instead of an encoder's; those beside the prepared data unless told
    #[arg(long, value_name = "FILE", conflicts_with = "encoder")]
    pub embeddings: Option<PathBuf>,
    /// Weights of the network whose features the encoder was trained with, as `text train --features` names them: with them
    /// `loss.matching` can look at what is painted
    #[arg(long, value_name = "FILE", conflicts_with = "embeddings")]
    pub features: Option<PathBuf>,
    /// The Stage-I model to build on: a file or a run folder; the newest finished one of the preset unless told
    #[arg(long, value_name = "MODEL")]
    pub stage1: Option<PathBuf>,
    /// A model of the same sizes whose generator this one starts from, instead of from fresh weights
    #[arg(long, value_name = "MODEL")]
    pub init_from: Option<PathBuf>,
    /// The run folder; a new one under `runs` unless told
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Whether to go on where the run folder's newest checkpoint is
    #[arg(long, value_enum, default_value_t = Resuming::Auto)]
    pub resume: Resuming,
    /// End with exit code 3 if that checkpoint is damaged, instead of going on from the one before it
    #[arg(long)]
    pub strict: bool,
    /// Stop, saved, after so many hours (exit code 75)
    #[arg(long, value_name = "H", value_parser = positive)]
    pub max_hours: Option<f64>,
    /// When a loss or gradient is no number: `stop` (exit code 7), or `rollback:K`, which goes back to the newest checkpoint
    /// and leaves that step out, at most K times
    #[arg(long, default_value = "stop", value_name = "stop|rollback:K", value_parser = on_nonfinite)]
    pub on_nonfinite: OnNonFinite,
    /// Go on although this setting is not as it was when the checkpoint was written; can be repeated
    #[arg(long, value_name = "KEY")]
    pub allow_change: Vec<String>,
    /// Measure the model as `stackgan eval` does, at the first checkpoint after every so many steps, and keep the best
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub eval_every: Option<u64>,
    /// What to measure then; the first decides which model is the best
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_values_t = [Metric::Kid],
          requires = "eval_every")]
    pub eval_metrics: Vec<Metric>,
    /// How many pictures to paint for it
    #[arg(long, default_value_t = 400, value_name = "N", requires = "eval_every",
          value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    pub eval_num: u32,
    /// The network that measures, as `eval --features` names it
    #[arg(long, value_name = "NAME", requires = "eval_every")]
    pub eval_features: Option<String>,
    /// The encoder that judges R-precision, as `eval --judge` names it
    #[arg(long, value_name = "FILE", requires = "eval_every")]
    pub eval_judge: Option<PathBuf>,
    /// Captions among which a picture has to find its own, for R-precision
    #[arg(long, default_value_t = 100, value_name = "N", requires = "eval_every",
          value_parser = clap::value_parser!(u16).range(2..=10_000))]
    pub eval_candidates: u16,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

fn on_nonfinite(text: &str) -> Result<OnNonFinite, String> {
    let times = text.strip_prefix("rollback:").map(str::parse);
    match (text, times) {
        ("stop", _) => Ok(OnNonFinite::Stop),
        (_, Some(Ok(times))) if (1..=1000).contains(&times) => Ok(OnNonFinite::Rollback(times)),
        _ => Err("expected `stop` or `rollback:K` with K from 1 to 1000".to_owned()),
    }
}

/// Whether to go on where a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resuming {
    /// From the newest valid checkpoint, if there is one
    Auto,
    /// Never: refuse a folder that has checkpoints
    Never,
}

/// Where the settings come from. Precedence: flag, `--set`, environment, `--config`, preset.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The dataset whose settings are taken: toy, cub, oxford or coco
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// A TOML file over the preset; it need not be complete
    #[arg(long, env = "STACKGAN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, such as `optim.batch=32`; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Take each batch in parts of so many pictures, gradients averaged: the memory of a part, the time of the whole. Not the
    /// same mathematics: batch norm sees a part at a time (`knobs.micro_batch`)
    #[arg(long, value_name = "N")]
    pub micro_batch: Option<u32>,
    /// The seed of everything random
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}
