//! `stackgan data`: fetches, draws, unpacks, imports, checks and shows datasets.

mod captions;
mod check;
mod fetch;
mod import;
mod preview;
mod summary;
mod toy;
mod unpack;

use anyhow::Result;
use stackgan_data::toy::ToyConfig;

use crate::args;
use crate::context::Context;
use crate::output::Form;
use captions::List;

/// Runs the subcommand.
pub(super) fn run(args: args::Data, context: &Context) -> Result<()> {
    match args {
        args::Data::Toy { out, count, seed, json } => {
            toy::run(&out, ToyConfig { count, seed }, json.into(), context.manner)
        }
        args::Data::Fetch(args) => fetch::run(&args, context),
        args::Data::Unpack(args) => unpack::run(&args, context),
        args::Data::Import(args) => import::run(&args, context),
        args::Data::Check { path, layout, json } => {
            check::run(&path, layout, json.into(), context.manner)
        }
        args::Data::Preview { path, output, count, layout, json } => {
            let written = preview::run(&path, layout, &output, usize::from(count))?;
            Form::from(json).show(&written)
        }
        args::Data::Captions { path, names, output, json } => {
            let list = match (json, names) {
                (true, _) => List::Pictures,
                (false, true) => List::Names,
                (false, false) => List::Captions,
            };
            captions::run(&path, list, output.as_deref(), context.manner)
        }
    }
}
