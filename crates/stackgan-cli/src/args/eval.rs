//! The arguments of `stackgan eval` and `stackgan nearest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use stackgan_core::Stage;

/// Numbers of how well a model paints, each with what it was measured with.
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  stackgan eval -m demo/model.safetensors --data demo/data --num 500 --metrics colours,rp --candidates 10 \
        --judge demo/encoder.safetensors\n  \
        stackgan eval -m runs/00003-cub-stage2 --data data/cub --metrics fid,is,rp --judge encoder.safetensors"
)]
pub(crate) struct Eval {
    /// A model file, a run folder or `hub:OWNER/NAME`
    #[arg(short, long, value_name = "MODEL", required_unless_present = "pictures")]
    pub model: Option<PathBuf>,
    /// Measure the pictures of a folder (PNG, JPEG) instead of painting some
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "judge", "stage"])]
    pub pictures: Option<PathBuf>,
    /// The real pictures, and the captions to paint: a prepared file or a dataset folder
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Which of them
    #[arg(long, value_enum, default_value_t = Part::Test)]
    pub split: Part,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST",
          default_values_t = [Metric::Fid, Metric::Kid, Metric::Is, Metric::Pr])]
    pub metrics: Vec<Metric>,
    /// How many pictures to paint
    #[arg(long, default_value_t = 30_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    pub num: u32,
    /// The network that measures: the name of one that `stackgan model import` brought in, or a file of its weights
    #[arg(long, value_name = "NAME")]
    pub features: Option<String>,
    /// The text encoder that judges R-precision, with its image side; not the model's own, if it is to be fair
    #[arg(long, value_name = "FILE")]
    pub judge: Option<PathBuf>,
    /// Captions among which a picture has to find its own, for R-precision
    #[arg(long, default_value_t = 100, value_name = "N",
          value_parser = clap::value_parser!(u16).range(2..=10_000))]
    pub candidates: u16,
    /// Embeddings of the captions, for a model without a text encoder; those beside the prepared data unless told
    #[arg(long, value_name = "FILE")]
    pub embeddings: Option<PathBuf>,
    /// 1 measures the 64x64 pictures of Stage-I
    #[arg(long)]
    pub stage: Option<Stage>,
    /// The seed of captions and noise
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Scale of the noise; the model's own unless told
    #[arg(long, value_name = "S", value_parser = scale)]
    pub z_scale: Option<f64>,
    /// Samples drawn again for the interval of a Fréchet distance; 0 leaves it out
    #[arg(long, default_value_t = 20, value_name = "N",
          value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub bootstrap: u16,
    /// Real statistics of pytorch-fid (`mu`, `sigma` in an .npz) instead of those of the real pictures
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// Write the statistics of the real pictures as pytorch-fid does
    #[arg(long, value_name = "FILE")]
    pub save_stats: Option<PathBuf>,
    /// End with exit code 5 if the FID is above this; only with an Inception network's published weights
    #[arg(long, value_name = "X")]
    pub max_fid: Option<f64>,
    /// End with exit code 5 if the Fréchet distance is above this, whatever the network
    #[arg(long, value_name = "X")]
    pub max_fd: Option<f64>,
    /// Write the JSON document to a file
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The JSON document on stdout instead of the table
    #[arg(long)]
    pub json: bool,
}

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The pictures that training sees
    Train,
    /// The pictures that it does not see
    Test,
    /// Both
    All,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
    /// Toy birds alone: do body, wing, belly and crown have the colours that the caption names?
    Colours,
}

/// For painted pictures, the closest training pictures, in features and in pixels: does the model paint or copy?
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
    /// Where the captions come from; the pictures are always those of training
    #[arg(long, value_enum, default_value_t = Part::Train)]
    pub captions: Part,
    /// How many pictures to paint
    #[arg(long, default_value_t = 16, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub num: u16,
    /// Closest pictures of each kind
    #[arg(short, default_value_t = 3, value_name = "K",
          value_parser = clap::value_parser!(u8).range(1..=16))]
    pub k: u8,
    /// The network of the features: the name of one that `stackgan model import` brought in, or a file of its weights
    #[arg(long, value_name = "NAME")]
    pub features: Option<String>,
    /// Embeddings of the captions, for a model without a text encoder; those beside the prepared data unless told
    #[arg(long, value_name = "FILE")]
    pub embeddings: Option<PathBuf>,
    /// 1 looks at the 64x64 pictures of Stage-I
    #[arg(long)]
    pub stage: Option<Stage>,
    /// The seed of captions and noise
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// The folder for nearest.png and nearest.json
    #[arg(long, default_value = "nearest", value_name = "DIR")]
    pub out: PathBuf,
    /// The JSON document on stdout too
    #[arg(long)]
    pub json: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.0..=4.0).contains(&s) => Ok(s),
        _ => Err("expected a number from 0 to 4".to_owned()),
    }
}
