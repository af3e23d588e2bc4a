//! `stackgan model`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use stackgan_core::Stage;

use super::parsers::sentence;

/// Model files.
#[derive(Subcommand, Debug)]
pub(crate) enum Model {
    /// Show recipe, stages, sizes, text encoder, training and SHA-256
    #[command(before_help = "Examples:\n  stackgan model info demo/model.safetensors\n  \
                             stackgan model info runs/00000-toy-stage1 --json")]
    Info {
        /// A model file, a run folder or `hub:OWNER/NAME`
        model: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Import published or trained generators: of the TensorFlow release (a checkpoint), of the
    /// PyTorch release (a state dict); or a network for measurements
    #[command(
        before_help = "Examples:\n  stackgan model import birds_model_164000.ckpt --encoder cub.safetensors \\\n      --out birds.safetensors\n  \
                             stackgan model import netG_epoch_90.pth --out coco.safetensors"
    )]
    Import {
        /// A checkpoint of TensorFlow (also named by its .index), a .pth of any version of torch, a
        /// .t7 with a table of tensors by name, or safetensors
        file: PathBuf,
        /// The model file to write; default: model.safetensors. A file that is there is not replaced.
        /// A network for measurements is kept where `--features` finds it
        #[arg(long, alias = "output", value_name = "FILE")]
        out: Option<PathBuf>,
        /// The text encoder whose embeddings it was trained with; without one it paints from
        /// embeddings only
        #[arg(long, value_name = "FILE")]
        encoder: Option<PathBuf>,
        /// The name of the dataset that it was trained on; default: coco for a state dict, unknown
        /// for a checkpoint
        #[arg(long)]
        dataset: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Export the generator for PyTorch's `load_state_dict` (plain recipe), the model as a folder
    /// for the hub, or files for ONNX runtimes
    #[command(
        before_help = "Examples:\n  stackgan model export coco.safetensors --out netG.safetensors\n  \
                             stackgan model export runs/00001-toy-stage2 --hub toy-birds -p \"a red bird\"",
        group = ArgGroup::new("sentences").args(["prompt", "fold_captions"])
    )]
    Export {
        /// A model file, a run folder or `hub:OWNER/NAME`
        model: PathBuf,
        /// The safetensors file to write; a model or another file of this program is not replaced
        #[arg(long, alias = "output", value_name = "FILE", default_value = "netG.safetensors")]
        out: PathBuf,
        /// Write a folder for the Hugging Face hub instead: model.safetensors, config.json,
        /// README.md
        #[arg(long, value_name = "DIR", conflicts_with = "out")]
        hub: Option<PathBuf>,
        /// A sentence whose pictures the folder's README.md shows; can be repeated, eight at most
        #[arg(short, long, value_name = "TEXT", value_parser = sentence(), requires = "hub")]
        prompt: Vec<String>,
        /// Files for ONNX runtimes
        #[command(flatten)]
        onnx: Onnx,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check that a model has every tensor, that all values are finite, and that it can paint (exit
    /// code 3 if the file is damaged, 5 if a value is not finite)
    #[command(before_help = "Examples:\n  stackgan model verify runs/00001-toy-stage2\n  \
                             stackgan model verify demo/model.safetensors")]
    Verify {
        /// A model file, a run folder or `hub:OWNER/NAME`
        model: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Compare the tensors of two models (exit code 5 if they differ)
    #[command(
        before_help = "Examples:\n  stackgan model diff runs/00000-toy-stage1 runs/00001-toy-stage1\n  \
                             stackgan model diff before.safetensors after.safetensors"
    )]
    Diff {
        /// A model file, a run folder or `hub:OWNER/NAME`
        a: PathBuf,
        /// Another one
        b: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Files for ONNX runtimes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Onnx {
    /// Write the generator as an ONNX file instead: embeddings and noise in, pictures out. Only an
    /// ONNX file of this program is replaced
    #[arg(long = "onnx", value_name = "FILE", conflicts_with_all = ["out", "hub"])]
    pub generator: Option<PathBuf>,
    /// Write the model's own text encoder as an ONNX file: character indices in, embeddings out
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "hub"])]
    pub onnx_encoder: Option<PathBuf>,
    /// For `--onnx`: 1 stops at 64x64
    #[arg(long, requires = "generator")]
    pub stage: Option<Stage>,
    /// For `--onnx` and torch-fidelity: the sentences of FILE, one per line, become classes of the
    /// generator
    #[arg(long, value_name = "FILE", requires = "generator")]
    pub fold_captions: Option<PathBuf>,
    /// For the sentences of `--prompt` and `--fold-captions`: the text encoder, if the model neither
    /// contains nor names it
    #[arg(long, value_name = "ENCODER", requires = "sentences")]
    pub encoder: Option<PathBuf>,
}
