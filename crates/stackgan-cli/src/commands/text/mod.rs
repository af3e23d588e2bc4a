//! `stackgan text`: trains the text encoder, imports published weights, and encodes captions.

mod encode;
mod import;
mod train;

use std::path::Path;

use anyhow::Result;

use crate::args;
use crate::context::Context;
use crate::exit::Problem;

/// Runs the subcommand.
pub(super) fn run(args: args::Text, context: &Context) -> Result<()> {
    match args {
        args::Text::Train(args) => train::run(&args, context.manner),
        args::Text::Encode(args) => encode::run(&args, context),
        args::Text::Import(args) => import::run(&args, context),
    }
}

/// Refuses to replace a file by an encoder: models that were trained with an encoder need it.
fn check_new(out: &Path) -> Result<()> {
    if !out.is_file() {
        return Ok(());
    }
    let place = format!("option: --out {}", out.display());
    let parts = ("no file, or an unfinished training beside it", "a file of this name");
    let remedy = "name another file; or remove this one, if nothing that was trained with it is still needed";
    Err(Problem::usage("the encoder would replace a file", place, parts, remedy).into())
}
