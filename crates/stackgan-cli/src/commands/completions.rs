//! `stackgan completions`: shell completions.

use std::io::Write as _;

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;

/// Prints the completions for `shell` on stdout.
pub(super) fn run(shell: Shell) -> Result<()> {
    // Generate into memory first: the generator panics when its writer fails, but a closed pipe is
    // not a failure.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "stackgan", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}
