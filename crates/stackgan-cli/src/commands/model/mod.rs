//! `stackgan model`: what model files hold, and models from and to the PyTorch release.

mod compare;
mod exchange;
mod info;

use anyhow::Result;

use super::Context;
use crate::args;
use crate::exit::Exit;

/// Does one of them.
pub(super) fn run(args: args::Model, context: &Context) -> Result<Exit> {
    match args {
        args::Model::Info { model, json } => info::run(&model, json, context)?,
        args::Model::Import { file, out, encoder, dataset } => {
            exchange::import(&file, &out, exchange::Origin { encoder, dataset }, context)?;
        }
        args::Model::Export { model, out } => exchange::export(&model, &out, context)?,
        args::Model::Verify { model } => return compare::verify(&model, context),
        args::Model::Diff { a, b } => return compare::diff(&a, &b, context),
    }
    Ok(Exit::Done)
}
