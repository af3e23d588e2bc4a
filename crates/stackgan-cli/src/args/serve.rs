//! `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// A web page and an HTTP API on this machine: type a sentence, see the pictures.
#[derive(Args, Clone, Debug)]
#[command(before_help = "Examples:\n  stackgan serve -m demo\n  \
                         stackgan serve -m birds=runs/00003-cub-stage2 -m demo --listen 127.0.0.1:8080")]
pub(crate) struct Serve {
    /// A model file, a run folder or `hub:OWNER/NAME`, with `NAME=` before it under that name; can be repeated, the first is the
    /// one that paints unless told
    #[arg(short, long, value_name = "MODEL", required = true)]
    pub model: Vec<PathBuf>,
    /// The text encoder of models that neither hold nor name one: a folder, a file or `hub:OWNER/NAME`
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<PathBuf>,
    /// Where to listen; port 0 takes any. An address that others can reach wants `--token-file`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7860")]
    pub listen: SocketAddr,
    /// A name under which it is reached besides those of this machine, as browsers send it: birds.example; can be repeated
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// A file with a secret of 32 characters or more: whoever asks has to send it as `Authorization: Bearer`
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
