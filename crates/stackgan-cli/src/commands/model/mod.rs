//! `stackgan model`: contents of model files, and conversion from both releases, to the PyTorch release
//! and to ONNX.

mod card;
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
use crate::output::Form;
use origin::Origin;

/// Runs the subcommand.
pub(super) fn run(args: args::Model, context: &Context) -> Result<Exit> {
    match args {
        args::Model::Info { model, json } => info::run(&model, json.into(), context)?,
        args::Model::Import { file, out, encoder, dataset, json } => {
            let origin = Origin { encoder, dataset };
            let written = match Checkpoint::open(&file)? {
                Some(whole) => checkpoint::import(&whole, out.as_deref(), &origin, context)?,
                None => {
                    checkpoint::check_name(&file)?;
                    exchange::import(&file, out.as_deref(), &origin, context)?
                }
            };
            Form::from(json).show(&written)?;
        }
        args::Model::Export { model, out, hub, prompt, onnx, json } => {
            let written = match hub {
                Some(folder) => {
                    hub::export(&model, &folder, (&prompt, onnx.encoder.as_deref()), context)?
                }
                None if onnx.generator.is_some() || onnx.onnx_encoder.is_some() => {
                    onnx::export(&model, &onnx, context)?
                }
                None => exchange::export(&model, &out, context)?,
            };
            Form::from(json).show(&written)?;
        }
        args::Model::Verify { model, json } => {
            return compare::verify(&model, json.into(), context);
        }
        args::Model::Diff { a, b, json } => {
            return compare::diff(&a, &b, json.into(), context);
        }
    }
    Ok(Exit::Done)
}
