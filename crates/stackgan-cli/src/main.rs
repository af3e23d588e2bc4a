//! `stackgan`: from a sentence to a picture, and from pictures to the model that paints it.
//!
//! Results go to stdout, everything else to stderr; how it ended is the exit code (see [`exit`]).
#![forbid(unsafe_code)]

mod args;
mod commands;
mod config;
mod exit;
mod progress;
mod report;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = args::Cli::parse(); // help is code 0, wrong usage is code 2
    let _ = stackgan_kernels::threads::tell_candle(); // where it cannot be said, all else works
    stackgan_kernels::memory::keep();
    let _ = signals::survive_file_limits(); // where it is refused, all else works
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error).into(),
    }
}
