//! `stackgan`: from a sentence to a picture, and from pictures to the model that paints them.
//!
//! Results go to stdout, everything else to stderr; success or failure is the exit code (see
//! [`exit`]).
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
    let cli = args::Cli::parse(); // help has code 0, wrong usage code 2
    let _ = stackgan_kernels::threads::tell_candle(); // optional: everything else works without it
    stackgan_kernels::memory::keep();
    let _ = signals::survive_file_limits(); // optional: everything else works without it
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error).into(),
    }
}
