//! The arguments of `stackgan serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Serve a web page and an HTTP API on this machine: type a sentence, see the pictures.
#[derive(Args, Clone, Debug)]
#[command(before_help = "Examples:\n  stackgan serve -m demo\n  \
                         stackgan serve -m birds=runs/00003-cub-stage2 -m demo --listen 127.0.0.1:8080")]
pub(crate) struct Serve {
    /// A model file, a run folder or `hub:OWNER/NAME`, optionally as `NAME=MODEL` to give it a
    /// name; can be repeated, the first is the default
    #[arg(short, long, value_name = "MODEL", required = true)]
    pub model: Vec<PathBuf>,
    /// The text encoder for models that neither contain nor name one: a folder, a file or
    /// `hub:OWNER/NAME`
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<PathBuf>,
    /// The address to listen on; port 0 takes any free port. An address that others can reach
    /// requires `--token-file`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7860", value_parser = address)]
    pub listen: SocketAddr,
    /// Another name of this server, as browsers send it, for example birds.example; can be repeated
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// A file with a secret of at least 32 characters, which requests must send as
    /// `Authorization: Bearer`
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = local.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| "expected an IP address and a port, such as 127.0.0.1:7860".to_owned())
}
