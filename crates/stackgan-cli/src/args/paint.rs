//! Options of the commands that paint: `generate`, `edit`, `interpolate`, `repro`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use stackgan_core::Stage;

use super::parsers::{scale, sentence};

/// The model, how it paints, and the folder for the pictures.
#[derive(Args, Clone, Debug)]
pub(crate) struct Painting {
    /// A model file, a run folder or `hub:OWNER/NAME`
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// The text encoder, if the model neither contains nor names it: a folder, a file or
    /// `hub:OWNER/NAME`
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<PathBuf>,
    /// 1 stops at 64x64
    #[arg(long)]
    pub stage: Option<Stage>,
    /// The folder for the pictures
    #[arg(long, alias = "output", default_value = "out", value_name = "DIR")]
    pub out: PathBuf,
    /// Write pictures without what they were painted from: no caption, seed or model. `repro` cannot
    /// repaint them
    #[arg(long)]
    pub no_metadata: bool,
    /// How much noise there is
    #[command(flatten)]
    pub scales: NoiseScales,
}

/// How much noise a model paints with.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct NoiseScales {
    /// Scale of the noise; less than 1 gives less variety; default: the model's own
    #[arg(long, value_name = "S", value_parser = scale)]
    pub z_scale: Option<f64>,
    /// Scale of the noise of conditioning augmentation; default: the model's own
    #[arg(long, value_name = "S", value_parser = scale)]
    pub eps_scale: Option<f64>,
}

/// One seed or several.
#[derive(Args, Clone, Debug)]
pub(crate) struct Seeds {
    /// The seed; default: 0
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// Several seeds: `0-7,9`
    #[arg(long, value_name = "LIST")]
    pub seeds: Option<String>,
}

/// Paint pictures from sentences. The same model, sentence and seed give the same pixels.
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  stackgan generate -m demo/model.safetensors \\\n      -p \"a red bird with a yellow belly\"\n  \
                         stackgan generate -m runs/00001-toy-stage2 --captions birds.txt --seeds 0-7 \\\n      --grid",
    group = ArgGroup::new("of_rows").args(["embeddings", "data"]).multiple(true)
)]
pub(crate) struct Generate {
    /// The model, how it paints, and the folder for the pictures
    #[command(flatten)]
    pub painting: Painting,
    /// A sentence; can be repeated
    #[arg(short, long, value_name = "TEXT", value_parser = sentence())]
    pub prompt: Vec<String>,
    /// A file with one sentence per line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub captions: Option<PathBuf>,
    /// Paint from rows of embeddings instead of sentences: a file made by `text import`,
    /// `text encode` or `data import --embeddings`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "captions", "encoder"])]
    pub embeddings: Option<PathBuf>,
    /// The dataset whose captions the rows are; its imported embeddings are used unless
    /// `--embeddings` is given
    #[arg(long, value_name = "PATH", conflicts_with_all = ["prompt", "captions", "encoder"])]
    pub data: Option<PathBuf>,
    /// Rows to paint, counted from 0: `0-7,9`; default: the first eight
    #[arg(long, value_name = "LIST", conflicts_with_all = ["prompt", "captions"], requires = "of_rows")]
    pub rows: Option<String>,
    /// The seeds
    #[command(flatten)]
    pub seeds: Seeds,
    /// Also write one sheet with all pictures: `grid.png`
    #[arg(long)]
    pub grid: bool,
    /// Number of pictures in a row of the sheet; default: the number of seeds
    #[arg(long, value_name = "N", requires = "grid", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub columns: Option<u16>,
    /// Print one JSON line for each picture
    #[arg(long)]
    pub json: bool,
}

/// Paint many sentences with one noise.
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  stackgan edit -m demo \\\n      -p \"a {red,blue,yellow} bird with a {black,white} belly\"\n  \
                         stackgan edit -m runs/00001-toy-stage2 -p \"a bird with a {red,green} crown\" \\\n      --seeds 0-3"
)]
pub(crate) struct Edit {
    /// The model, how it paints, and the folder for the pictures
    #[command(flatten)]
    pub painting: Painting,
    /// A sentence with alternatives: `a {red,blue} bird`. A `\` makes the following brace or comma
    /// literal
    #[arg(short, long, value_name = "TEXT", value_parser = sentence())]
    pub prompt: String,
    /// The seeds
    #[command(flatten)]
    pub seeds: Seeds,
    /// Print one JSON line for each picture
    #[arg(long)]
    pub json: bool,
}

/// Animate the way between two sentences, between seeds of one, or between two sentences with a
/// seed each.
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  stackgan interpolate -m demo --from \"a red bird\" \\\n      --to \"a blue bird with a white belly\"\n  \
                         stackgan interpolate -m demo -p \"a red bird with a yellow belly\" --seeds 0-3 \\\n      --frames 90",
    group = ArgGroup::new("way").args(["from", "prompt"]).required(true)
)]
pub(crate) struct Interpolate {
    /// The model, how it paints, and the folder for the pictures
    #[command(flatten)]
    pub painting: Painting,
    /// The sentence of the first frame
    #[arg(long, value_name = "TEXT", value_parser = sentence(), requires = "to",
          conflicts_with = "prompt")]
    pub from: Option<String>,
    /// The sentence of the last frame. With two `--seeds`, the noise moves as well
    #[arg(long, value_name = "TEXT", value_parser = sentence(), requires = "from")]
    pub to: Option<String>,
    /// One sentence, to go from seed to seed
    #[arg(
        short,
        long,
        value_name = "TEXT",
        value_parser = sentence(),
        requires = "seeds",
        conflicts_with = "seed"
    )]
    pub prompt: Option<String>,
    /// The seeds
    #[command(flatten)]
    pub seeds: Seeds,
    /// Total number of frames, including the first and the last
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub frames: u32,
    /// Frames per second; the first and the last are shown for a second
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub fps: u16,
    /// Also write every frame as a separate picture, into the folder `frames`
    #[arg(long)]
    pub each: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Paint pictures again from the metadata in their files, and compare the pixels.
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  stackgan repro -m demo out/000000-seed00000-a-red-bird.png\n  \
                         stackgan repro -m runs/00001-toy-stage2 bird.png other-bird.png --json"
)]
pub(crate) struct Repro {
    /// Pictures by `generate` or `edit`, unchanged
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// The model that painted them: a file, a run folder or `hub:OWNER/NAME`
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// The text encoder, if the model neither contains nor names it: a folder, a file or
    /// `hub:OWNER/NAME`
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<PathBuf>,
    /// The embeddings from which they were painted, if not from sentences
    #[arg(long, value_name = "FILE", conflicts_with = "encoder")]
    pub embeddings: Option<PathBuf>,
    /// Keep the new pictures in this folder
    #[arg(long, alias = "output", value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print one JSON line for each picture
    #[arg(long)]
    pub json: bool,
}
