//! The arguments of `stackgan eval` and `stackgan nearest`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use serde::{Deserialize, Serialize};
use stackgan_core::Stage;
use stackgan_eval::comparison::BOOTSTRAP;

use super::paint::NoiseScales;

/// Measure how well a model paints; each number is given with the conditions of its measurement.
#[derive(Args, Clone, Debug, Default)]
#[command(
    before_help = "Examples:\n  stackgan eval -m demo/model.safetensors --data demo/data --num 500 \\\n      --metrics colours,rp --candidates 10 \
        --judge demo/encoder.safetensors\n  \
        stackgan eval -m runs/00003-cub-stage2 --data data/cub --metrics fid,is,rp \\\n      --judge encoder.safetensors",
    group = ArgGroup::new("measured").args(["model", "pictures"]).required(true)
)]
pub(crate) struct Eval {
    /// A model file, a run folder or `hub:OWNER/NAME`
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<PathBuf>,
    /// Measure the pictures in a folder (PNG, JPEG, WebP) instead of painting
    #[arg(long, value_name = "DIR", conflicts_with_all =
        ["model", "judge", "stage", "num", "z_scale", "eps_scale", "embeddings", "encoder"])]
    pub pictures: Option<PathBuf>,
    /// The real pictures, and the captions to paint: a prepared file or a dataset folder. Pictures of
    /// a folder need none for an inception score, or for a Fréchet distance to `--stats`
    #[arg(long, value_name = "PATH", required_unless_present = "pictures")]
    pub data: Option<PathBuf>,
    /// Which part of them to use
    #[arg(long, value_enum, default_value_t = Part::Test)]
    pub split: Part,
    /// The measures
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "fid,kid,is,pr"
    )]
    pub metrics: Vec<Metric>,
    /// Number of pictures to paint
    #[arg(long, default_value_t = 30_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    pub num: u32,
    /// The network that computes features: the name of one imported by `stackgan model import`, or
    /// a file with its weights
    #[arg(long, value_name = "NAME")]
    pub features: Option<String>,
    /// The text encoder that judges R-precision, with its image side; for a fair judgement, not the
    /// model's own
    #[arg(long, value_name = "FILE")]
    pub judge: Option<PathBuf>,
    /// Number of captions among which a picture must find its own, for R-precision; default: 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=10_000))]
    pub candidates: Option<u16>,
    /// How the model paints
    #[command(flatten)]
    pub painting: PainterOptions,
    /// Number of bootstrap samples for the interval of a Fréchet distance; 0 omits it
    #[arg(long, default_value_t = BOOTSTRAP as u16, value_name = "N",
          value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub bootstrap: u16,
    /// Statistics of the real pictures in pytorch-fid's format (`mu` and `sigma` in an .npz),
    /// instead of computing them
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// Write the statistics of the real pictures in pytorch-fid's format
    #[arg(long, value_name = "FILE")]
    pub save_stats: Option<PathBuf>,
    /// Exit with code 5 if the FID is greater; only with an Inception network's published weights
    #[arg(long, value_name = "X", value_parser = distance)]
    pub max_fid: Option<f64>,
    /// Exit with code 5 if the Fréchet distance is greater, whatever the network
    #[arg(long, value_name = "X", value_parser = distance)]
    pub max_fd: Option<f64>,
    /// Write the JSON document to this file
    #[arg(long, alias = "output", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the JSON document instead of the table
    #[arg(long)]
    pub json: bool,
}

/// How a model paints captions of a dataset.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PainterOptions {
    /// The model's text encoder, if it is not in its file and no longer where it was: a file, the
    /// folder of a sentence encoder, or `hub:OWNER/NAME`
    #[arg(long, value_name = "ENCODER", conflicts_with = "embeddings")]
    pub encoder: Option<PathBuf>,
    /// Embeddings of the captions to paint from; default: the model's own text encoder, or without
    /// one the embeddings beside the prepared data
    #[arg(long, value_name = "FILE")]
    pub embeddings: Option<PathBuf>,
    /// 1 takes the 64x64 pictures of Stage-I
    #[arg(long)]
    pub stage: Option<Stage>,
    /// Seed of captions and noise; picture i is painted with seed N + i, so that two measurements
    /// are independent if their seeds are `--num` apart
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// How much noise there is
    #[command(flatten)]
    pub scales: NoiseScales,
}

/// A part of a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The training pictures
    Train,
    /// The test pictures
    #[default]
    Test,
    /// Both
    All,
}

/// A measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    /// Fréchet distance to the real pictures
    Fid,
    /// Kernel distance to the real pictures
    Kid,
    /// Inception score
    Is,
    /// Precision and recall against the real pictures
    Pr,
    /// R-precision: does a picture match its own caption best?
    Rp,
    /// Variety of the pictures of one caption (MS-SSIM)
    Variety,
    /// Toy birds only: do body, wing, belly and crown have the colours that the caption names?
    Colours,
}

/// Find the training pictures closest to painted ones, in features and in pixels: does the model
/// paint or copy?
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  stackgan nearest -m demo/model.safetensors --data data/toy\n  \
        stackgan nearest -m runs/00003-cub-stage2 --data data/cub --num 32 --out near"
)]
pub(crate) struct Nearest {
    /// A model file, a run folder or `hub:OWNER/NAME`
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// The training pictures, and the captions to paint: a prepared file or a dataset folder
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// The part that the captions come from; the pictures are always training pictures
    #[arg(long, value_enum, default_value_t = Part::Train)]
    pub captions: Part,
    /// Number of pictures to paint
    #[arg(long, default_value_t = 16, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub num: u16,
    /// Number of closest pictures of each kind
    #[arg(short, default_value_t = 3, value_name = "K",
          value_parser = clap::value_parser!(u8).range(1..=16))]
    pub k: u8,
    /// The network that computes features: the name of one imported by `stackgan model import`, or
    /// a file with its weights; `none` compares pixels alone
    #[arg(long, value_name = "NAME")]
    pub features: Option<String>,
    /// How the model paints
    #[command(flatten)]
    pub painting: PainterOptions,
    /// The folder for nearest.png and nearest.json
    #[arg(long, alias = "output", default_value = "nearest", value_name = "DIR")]
    pub out: PathBuf,
    /// Also print the JSON document
    #[arg(long)]
    pub json: bool,
}

fn distance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() && x >= 0.0 => Ok(x),
        _ => Err("expected a number from 0".to_owned()),
    }
}
