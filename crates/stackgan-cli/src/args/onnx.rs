//! `stackgan model export --onnx`: the files to write for ONNX runtimes.

use std::path::PathBuf;

use clap::Args;
use stackgan_core::Stage;

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
    /// For `--fold-captions`: the text encoder, if the model neither contains nor names it
    #[arg(long, value_name = "ENCODER", requires = "fold_captions")]
    pub encoder: Option<PathBuf>,
}
