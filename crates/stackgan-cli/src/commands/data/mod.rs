//! `stackgan data`: fetches, draws, unpacks, imports, checks and shows datasets.

mod captions;
mod check;
mod fetch;
mod import;
mod outside;
mod preview;
mod unpack;

use anyhow::Result;
use stackgan_data::counted;
use stackgan_data::toy::ToyConfig;

use crate::args;
use crate::context::Context;
use crate::datasets::draw_toy;
use crate::output::print;

/// Runs the subcommand.
pub(super) fn run(args: args::Data, context: &Context) -> Result<()> {
    match args {
        args::Data::Toy { out, count, seed } => {
            let drawn = draw_toy(&out, ToyConfig { count, seed }, context.manner)?;
            print(format!(
                "{}: {} of {} species to train on, {} of {} unseen species",
                out.display(),
                counted(drawn.train_pictures, "picture"),
                drawn.train_species,
                drawn.test_pictures,
                drawn.test_species
            ))
        }
        args::Data::Fetch(args) => fetch::run(&args, context),
        args::Data::Unpack(args) => unpack::run(&args, context),
        args::Data::Import(args) => import::run(&args, context),
        args::Data::Check { path, layout } => check::run(&path, layout, context.manner),
        args::Data::Preview { path, output, count, layout } => {
            preview::run(&path, layout, &output, usize::from(count))
        }
        args::Data::Captions { path, names, output } => {
            captions::run(&path, names, output.as_deref(), context.manner)
        }
    }
}
