//! `cargo xtask fetch-cub | fetch-oxford | fetch-coco`: `stackgan data fetch` into a folder of the
//! repository.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// The options of the command, as those of `stackgan data fetch`.
pub(crate) struct Options {
    /// The dataset's folder; `data/SET` of the repository by default.
    pub(crate) into: Option<PathBuf>,
    pub(crate) from: Option<String>,
    pub(crate) verify: bool,
}

/// Runs the program, which prints what it does, and returns its exit code.
pub(crate) fn fetch(root: &Path, set: &str, options: Options) -> Result<ExitCode> {
    let Options { into, from, verify } = options;
    let into = into.unwrap_or_else(|| root.join("data").join(set));
    let from = from.map(|from| ["--from".to_owned(), from]).into_iter().flatten();
    let verify = verify.then_some("--verify");
    let (sh, manifest) = (Shell::new()?, root.join("Cargo.toml"));
    // In release mode, which training will use too: it is built once for both.
    let run = cmd!(sh, "cargo run --quiet --release --manifest-path {manifest} -p stackgan-cli")
        .args(["--", "data", "fetch", set, "--into"])
        .arg(into)
        .args(from)
        .args(verify);
    let status = Command::from(run).status().context("cargo does not start")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
