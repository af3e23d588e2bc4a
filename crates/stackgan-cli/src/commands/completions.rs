//! `stackgan completions`: shell completions.

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::output::print_to_reader;

/// Prints the completions for `shell` on stdout.
pub(super) fn run(shell: Shell) -> Result<()> {
    // Generate into memory first: the generator panics when its writer fails, but a closed pipe is
    // not a failure.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "stackgan", &mut script);
    print_to_reader(String::from_utf8_lossy(&script).trim_end())
}
