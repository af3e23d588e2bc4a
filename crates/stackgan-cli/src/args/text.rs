//! `text`: the text encoder.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The text encoder.
#[derive(Subcommand, Debug)]
pub(crate) enum Text {
    /// Train a char-CNN-RNN on a dataset's own captions and pictures
    #[command(
        before_help = "Examples:\n  stackgan text train --data data/toy --out encoder.safetensors\n  \
        stackgan text train --data data/cub --features efficientnet-lite0-57934424.pth --out encoder.safetensors"
    )]
    Train(TextTrain),
    /// Take in a published char-CNN-RNN: Reed's `.t7`, or a state dict as .pth or safetensors; or captions with their embeddings, to
    /// paint from: the releases' `.t7`, or an array with a list of its captions
    #[command(before_help = "Examples:\n  \
        stackgan text import lm_sje_nc4_cub_hybrid_gru18.t7 --out birds-encoder.safetensors\n  \
        stackgan text import char_cnn_rnn.pth --unknown space --out encoder.safetensors\n  \
        stackgan text import example_captions.t7 --made-by birds-encoder.safetensors --out captions.safetensors")]
    Import(TextImport),
    /// Vectors of sentences, or of every caption of a dataset
    #[command(before_help = "Examples:\n  \
        stackgan text encode --encoder encoder.safetensors --data data/toy --output toy.safetensors\n  \
        stackgan text encode --encoder hub:sentence-transformers/all-MiniLM-L6-v2 -p \"a red bird\" --output red.safetensors")]
    Encode(TextEncode),
}

/// Take in a published char-CNN-RNN, or captions with their embeddings.
#[derive(Args, Clone, Debug)]
pub(crate) struct TextImport {
    /// The file: what it holds is told from its beginning, not from its name. Of an array NAME.npy (.npz, .safetensors, .t7,
    /// .pickle) NAME.txt beside it has the captions, one a line
    pub file: PathBuf,
    /// The file that is written; encoder.safetensors or captions.safetensors unless told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Capital letters, of an encoder; `lower` unless told. The Lua demo of the release keeps them, as unknown characters
    #[arg(long, value_enum)]
    pub case: Option<LetterCase>,
    /// Characters outside of the alphabet, of an encoder: rows of zeros (Lua demo), spaces (PyTorch port), or the end of the
    /// caption (Reed's training loader); `zero-row` unless told
    #[arg(long, value_enum)]
    pub unknown: Option<Unknown>,
    /// The encoder that made the embeddings: a file, the folder of a sentence encoder, or `hub:OWNER/NAME`. Its vectors of some
    /// captions are compared with theirs
    #[arg(long, value_name = "ENCODER", conflicts_with_all = ["case", "unknown"])]
    pub made_by: Option<PathBuf>,
}

/// What happens to capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LetterCase {
    /// They become small letters
    Lower,
    /// They stay, and are unknown
    Keep,
}

/// What becomes of a character that is not in the alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unknown {
    /// A row of zeros
    ZeroRow,
    /// A space
    Space,
    /// The end of the caption
    Truncate,
}

/// Vectors of sentences, or of every caption of a dataset.
#[derive(Args, Clone, Debug)]
pub(crate) struct TextEncode {
    /// The encoder: a file, the folder of a sentence encoder, or `hub:OWNER/NAME`
    #[arg(long, value_name = "ENCODER")]
    pub encoder: PathBuf,
    /// A prepared file or a dataset folder
    #[arg(long, value_name = "PATH", conflicts_with_all = ["prompt", "captions"])]
    pub data: Option<PathBuf>,
    /// A sentence; can be repeated
    #[arg(short, long, value_name = "TEXT")]
    pub prompt: Vec<String>,
    /// A file with a sentence on each line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub captions: Option<PathBuf>,
    /// The file that is written
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Train a char-CNN-RNN on a dataset's own captions and pictures.
#[derive(Args, Clone, Debug)]
pub(crate) struct TextTrain {
    /// A prepared file or a dataset folder
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// The file that is written
    #[arg(long, default_value = "encoder.safetensors", value_name = "FILE")]
    pub out: PathBuf,
    /// Steps of training
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Captions and pictures in a batch
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Learning rate
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Weights of EfficientNet-Lite0 (.pth, safetensors): its features in place of a small image network trained along
    #[arg(long, value_name = "FILE")]
    pub features: Option<PathBuf>,
    /// The side at which it is shown pictures, 32 to 1024 pixels: 224, at which it was trained, knows most; 128 takes a third of the
    /// time, in training with `loss.matching` too
    #[arg(long, value_name = "PIXELS", default_value_t = 224, requires = "features",
          value_parser = clap::value_parser!(u16).range(32..=1024))]
    pub features_side: u16,
    /// Sizes: `toy` is small, `paper` is that of the original (1024 wide)
    #[arg(long, value_enum, default_value_t = EncoderSize::Toy)]
    pub size: EncoderSize,
    /// The seed of everything random
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
}

/// Sizes of a text encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EncoderSize {
    /// Small enough for minutes on a CPU
    Toy,
    /// As the original
    Paper,
}
