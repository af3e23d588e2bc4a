//! `stackgan model`: contents of model files, and conversion from both releases, to the PyTorch release
//! and to ONNX.

mod checkpoint;
mod compare;
mod exchange;
mod hub;
mod info;
mod onnx;
mod origin;

use anyhow::Result;
use stackgan_data::formats::tensorflow::Checkpoint;

use crate::args;
use crate::context::Context;
use crate::exit::Exit;
use origin::Origin;

/// Runs the subcommand.
pub(super) fn run(args: args::Model, context: &Context) -> Result<Exit> {
    match args {
        args::Model::Info { model, json } => info::run(&model, json.into(), context)?,
        args::Model::Import { file, out, encoder, dataset } => {
            let origin = Origin { encoder, dataset };
            match Checkpoint::open(&file)? {
                Some(whole) => checkpoint::import(&whole, out.as_deref(), &origin, context)?,
                None => {
                    checkpoint::check_name(&file)?;
                    exchange::import(&file, out.as_deref(), &origin, context)?;
                }
            }
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
            return compare::verify(&model, json.into(), context);
        }
        args::Model::Diff { a, b, json } => {
            return compare::diff(&a, &b, json.into(), context);
        }
    }
    Ok(Exit::Done)
}
