//! `stackgan text`: trains the text encoder, imports published weights, and encodes captions.

mod encode;
mod import;
mod train;

use anyhow::Result;

use crate::args;
use crate::context::Context;

/// Runs the subcommand.
pub(super) fn run(args: args::Text, context: &Context) -> Result<()> {
    match args {
        args::Text::Train(args) => train::run(&args, context.manner),
        args::Text::Encode(args) => encode::run(&args, context),
        args::Text::Import(args) => import::run(&args, context),
    }
}
