//! `stackgan model`: contents of model files, and conversion from and to the PyTorch release and to
//! ONNX.

mod compare;
mod exchange;
mod hub;
mod info;
mod onnx;

use anyhow::Result;

use crate::args;
use crate::context::Context;
use crate::exit::Exit;

/// Runs the subcommand.
pub(super) fn run(args: args::Model, context: &Context) -> Result<Exit> {
    match args {
        args::Model::Info { model, json } => info::run(&model, json, context)?,
        args::Model::Import { file, out, encoder, dataset } => {
            exchange::import(&file, &out, exchange::Origin { encoder, dataset }, context)?;
        }
        args::Model::Export { model, hub: Some(folder), .. } => {
            hub::export(&model, &folder, context)?;
        }
        args::Model::Export { model, onnx, .. }
            if onnx.generator.is_some() || onnx.onnx_encoder.is_some() =>
        {
            onnx::export(&model, &onnx, context)?;
        }
        args::Model::Export { model, out, .. } => exchange::export(&model, &out, context)?,
        args::Model::Verify { model, json } => {
            return compare::verify(&model, json, context);
        }
        args::Model::Diff { a, b, json } => return compare::diff(&a, &b, json, context),
    }
    Ok(Exit::Done)
}
