//! `stackgan`: from a sentence to a picture, and from pictures to the model that paints them.
//!
//! Results go to stdout, everything else to stderr; success or failure is the exit code (see
//! [`exit`]).
#![forbid(unsafe_code)]

// The floors of the program, from the top: a module uses only its own floor and those below.

// A function for each command.
mod commands;

// Pictures to numbers; sentences to pictures.
mod measuring;
mod painting;

// Models by their names; runs, their folders and their pages.
mod models;
mod report;
mod run;

// Text encoders.
mod encoders;

// The networks that look at pictures, by their names.
mod networks;

// Dataset folders and their prepared files.
mod datasets;

// What is read besides: sentences, what lies on the Hub, files of weights.
mod captions;
mod hub;
mod weights;

// What every command is given: the device, and how progress is shown.
mod context;

// Settings, the device, results.
mod config;
mod device;
mod output;

// What a person types, what is said on stderr, and how the program ends.
mod args;
mod exit;
mod progress;
mod signals;

// Which build of the program this is.
mod version;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

fn main() -> ExitCode {
    let matches = as_typed(args::Cli::command()).get_matches();
    let cli = args::Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let _ = stackgan_kernels::threads::tell_candle(); // optional: everything else works without it
    stackgan_kernels::memory::keep();
    let _ = signals::survive_file_limits(); // optional: everything else works without it
    exit::guarded(|| commands::run(cli)).into()
}

/// The program's arguments, for which an empty variable of the environment counts as unset, and
/// `-1` after an option as its value, so that the error names the option and what it takes.
fn as_typed(command: clap::Command) -> clap::Command {
    let is_empty = |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|v| v.is_empty());
    command
        .mut_args(|argument| match argument.get_env() {
            Some(name) if is_empty(name) => argument.env(None::<&str>),
            _ => argument,
        })
        .mut_args(|argument| match argument.get_action().takes_values() {
            true if !argument.is_positional() => argument.allow_negative_numbers(true),
            _ => argument,
        })
        .mut_subcommands(as_typed)
}
