//! The arguments of `stackgan text`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use stackgan_core::text::Recurrence;

use super::parsers::{positive, sentence};

/// The text encoder.
#[derive(Subcommand, Debug)]
pub(crate) enum Text {
    /// Train a char-CNN-RNN on a dataset's own captions and pictures
    #[command(
        before_help = "Examples:\n  stackgan text train --data data/toy --out encoder.safetensors\n  \
        stackgan text train --data data/cub \\\n      --features efficientnet-lite0-57934424.pth --out encoder.safetensors"
    )]
    Train(TextTrain),
    /// Import a published char-CNN-RNN (Reed's `.t7`, or a state dict as .pth or safetensors), or
    /// captions with their embeddings, to paint from (the releases' `.t7`, or an array with a list of
    /// its captions)
    #[command(before_help = "Examples:\n  \
        stackgan text import lm_sje_nc4_cub_hybrid_gru18.t7 \\\n      --out birds-encoder.safetensors\n  \
        stackgan text import example_captions.t7 --made-by birds-encoder.safetensors \\\n      --out captions.safetensors")]
    Import(TextImport),
    /// Encode sentences, or every caption of a dataset, as vectors
    #[command(before_help = "Examples:\n  \
        stackgan text encode --encoder encoder.safetensors --data data/toy \\\n      --output toy.safetensors\n  \
        stackgan text encode --encoder hub:sentence-transformers/all-MiniLM-L6-v2 \\\n      -p \"a red bird\" --output red.safetensors")]
    Encode(TextEncode),
}

/// Import a published char-CNN-RNN, or captions with their embeddings.
#[derive(Args, Clone, Debug)]
pub(crate) struct TextImport {
    /// The file; its format is detected from its first bytes, not from its name. An array NAME.npy
    /// (.npz, .safetensors, .t7, .pickle) needs its captions in NAME.txt, one per line
    pub file: PathBuf,
    /// The file to write; default: encoder.safetensors or captions.safetensors
    #[arg(long, alias = "output", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How an encoder treats capital letters; default: lower. The Lua demo of the release keeps them
    /// as unknown characters
    #[arg(long, value_enum)]
    pub case: Option<LetterCase>,
    /// How an encoder treats characters outside the alphabet: as rows of zeros (Lua demo; the
    /// default), spaces (PyTorch port), or the end of the caption (Reed's training loader)
    #[arg(long, value_enum)]
    pub unknown: Option<Unknown>,
    /// The encoder that made the embeddings: a file, the folder of a sentence encoder, or
    /// `hub:OWNER/NAME`. Its vectors of some captions are compared with theirs
    #[arg(long, value_name = "ENCODER", conflicts_with_all = ["case", "unknown"])]
    pub made_by: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// The treatment of capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LetterCase {
    /// Convert them to small letters
    Lower,
    /// Keep them; they are unknown characters
    Keep,
}

/// The treatment of characters outside the alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unknown {
    /// A row of zeros
    ZeroRow,
    /// A space
    Space,
    /// The end of the caption
    Truncate,
}

/// Encode sentences, or every caption of a dataset, as vectors.
#[derive(Args, Clone, Debug)]
pub(crate) struct TextEncode {
    /// The encoder: a file, the folder of a sentence encoder, or `hub:OWNER/NAME`
    #[arg(long, value_name = "ENCODER")]
    pub encoder: PathBuf,
    /// A prepared file or a dataset folder
    #[arg(long, value_name = "PATH", conflicts_with_all = ["prompt", "captions"])]
    pub data: Option<PathBuf>,
    /// A sentence; can be repeated
    #[arg(short, long, value_name = "TEXT", value_parser = sentence())]
    pub prompt: Vec<String>,
    /// A file with one sentence per line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub captions: Option<PathBuf>,
    /// The file to write; a model or another file of this program that is none of embeddings is not
    /// replaced
    #[arg(long, alias = "out", value_name = "FILE")]
    pub output: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Train a char-CNN-RNN on a dataset's own captions and pictures.
#[derive(Args, Clone, Debug)]
pub(crate) struct TextTrain {
    /// A prepared file or a dataset folder
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// The file to write
    #[arg(long, alias = "output", default_value = "encoder.safetensors", value_name = "FILE")]
    pub out: PathBuf,
    /// Number of training steps; default: 2500, and with `--size paper` 200 for each training class, at most 30,000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Number of captions and pictures in a batch
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Save the state and stop after this many hours (exit code 75). The same command goes on from
    /// there
    #[arg(long, value_name = "H", value_parser = positive)]
    pub max_hours: Option<f64>,
    /// Learning rate
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// A network whose features replace the small image network that is otherwise trained: a file of
    /// EfficientNet-Lite0's weights (.pth, safetensors), or `efficientnet-lite0` if
    /// `stackgan model import` has them
    #[arg(long, value_name = "NAME")]
    pub features: Option<PathBuf>,
    /// Side of its input pictures, 32 to 1024 pixels: 224, its training size, gives the best
    /// features; 128 takes a third of the time, also in training with `loss.matching`
    #[arg(long, value_name = "PIXELS", default_value_t = 224, requires = "features",
          value_parser = clap::value_parser!(u16).range(32..=1024))]
    pub features_side: u16,
    /// The sizes: `toy` is small, `paper` has those of the original (1024 wide)
    #[arg(long, value_enum, default_value_t = EncoderSize::Toy)]
    pub size: EncoderSize,
    /// The recurrence: that of the published encoders for birds and COCO, or for flowers
    #[arg(long, value_enum, default_value_t = Gates::Gru)]
    pub recurrence: Gates,
    /// The random seed
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Recurrences of a text encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Gates {
    /// Gated, over 18 steps
    Gru,
    /// Without gates, over 8 steps
    Rnn,
}

impl From<Gates> for Recurrence {
    fn from(gates: Gates) -> Self {
        match gates {
            Gates::Gru => Self::Gru,
            Gates::Rnn => Self::Rnn,
        }
    }
}

/// Sizes of a text encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EncoderSize {
    /// Small enough for minutes on a CPU
    Toy,
    /// As in the original
    Paper,
}
