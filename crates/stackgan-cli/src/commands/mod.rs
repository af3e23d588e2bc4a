//! The commands, each a function of its arguments. No command uses another: what they share lies
//! below them, in the modules beside this one.

mod completions;
mod config;
mod data;
mod demo;
mod doctor;
mod edit;
mod eval;
mod generate;
mod interpolate;
mod manual;
mod model;
mod nearest;
mod replay;
mod repro;
mod runs;
mod serve;
mod text;
mod train;

use anyhow::Result;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::device::Use;
use crate::exit::{Exit, out_of_memory};

/// Runs a command.
///
/// # Errors
/// Any failure; [`crate::exit`] maps it to an exit code.
pub(crate) fn run(cli: Cli) -> Result<Exit> {
    let context = Context::new(&cli.global, use_of_device(&cli.command))?;
    // Run on a worker thread. From another thread, each of a step's thousand parallel loops would
    // wake one and wait for it.
    let done = rayon::scope(|_| dispatch(cli.command, &context));
    done.map_err(|error| out_of_memory(error, None))
}

const fn use_of_device(command: &Command) -> Use {
    match command {
        Command::Data(_)
        | Command::Runs(_)
        | Command::Config(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Use::Nothing,
        _ => Use::Computes,
    }
}

fn dispatch(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Demo(args) => return demo::run(&args, context),
        Command::Data(args) => data::run(args, context)?,
        Command::Text(args) => text::run(args, context)?,
        Command::Train(args) => return train::run(&args, context),
        Command::Replay { bundle, json } => return replay::run(&bundle, json.into(), context),
        Command::Generate(args) => generate::run(&args, context)?,
        Command::Edit(args) => edit::run(&args, context)?,
        Command::Interpolate(args) => return interpolate::run(&args, context),
        Command::Repro(args) => return repro::run(&args, context),
        Command::Serve(args) => serve::run(&args, context)?,
        Command::Eval(args) => return eval::run(&args, context),
        Command::Nearest(args) => nearest::run(&args, context)?,
        Command::Model(args) => return model::run(args, context),
        Command::Runs(args) => runs::run(args, context.manner)?,
        Command::Config(args) => config::run(args)?,
        Command::Doctor { json } => doctor::run(json.into(), context)?,
        Command::Completions { shell } => completions::run(shell)?,
        Command::Man { out } => manual::run(&out)?,
    }
    Ok(Exit::Done)
}
