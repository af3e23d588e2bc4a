//! The commands, each a function of its arguments, and their shared parts.

mod apart;
mod captions;
mod colours;
mod completions;
mod config;
mod data;
mod demo;
mod device;
mod doctor;
mod edit;
mod encoders;
mod eval;
mod features;
mod fetch;
mod generate;
mod given;
mod interpolate;
mod made_by;
mod manual;
mod model;
mod models;
mod output;
mod painting;
mod replay;
mod repro;
mod runs;
mod serve;
mod sources;
pub(crate) mod text;
mod train;
mod unread;
mod weights;

use std::sync::Mutex;

use anyhow::{Context as _, Result};
use candle_core::Device;

use crate::args::{Cli, Command, Global, Precision};
use crate::exit::{Exit, out_of_memory};
use crate::progress::{Manner, Phase};
pub(crate) use apart::{apart, leads_to};
pub(crate) use models::{Loaded, load};
pub(crate) use output::{
    aligned, check_writable, path_text, print, print_to_reader, quoted, write_file, write_pieces,
};

/// The context of every command.
pub(crate) struct Context {
    /// The device to compute on.
    pub device: Device,
    /// The precision of convolutions and products.
    pub precision: Precision,
    /// How progress is displayed on stderr.
    pub manner: Manner,
}

/// Runs a command.
///
/// # Errors
/// Any failure; [`crate::exit`] maps it to an exit code.
pub(crate) fn run(cli: Cli) -> Result<Exit> {
    let context = Context::new(&cli.global, device::computes(&cli.command))?;
    // Run on a worker thread. From another thread, each of a step's thousand parallel loops would
    // wake one and wait for it.
    let done = rayon::scope(|_| dispatch(cli.command, &context));
    done.map_err(|error| out_of_memory(error, None))
}

fn dispatch(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Demo(args) => return demo::run(&args, context),
        Command::Data(args) => data::run(args, context)?,
        Command::Text(args) => text::run(args, context)?,
        Command::Train(args) => return train::run(&args, context),
        Command::Replay { bundle, json } => return replay::run(&bundle, json, context),
        Command::Generate(args) => generate::run(&args, context)?,
        Command::Edit(args) => edit::run(&args, context)?,
        Command::Interpolate(args) => return interpolate::run(&args, context),
        Command::Repro(args) => return repro::run(&args, context),
        Command::Serve(args) => serve::run(&args, context)?,
        Command::Eval(args) => return eval::run(&args, context),
        Command::Nearest(args) => eval::nearest(&args, context)?,
        Command::Model(args) => return model::run(args, context),
        Command::Runs(args) => runs::run(args, context.manner)?,
        Command::Config(args) => config::run(args)?,
        Command::Doctor { json } => doctor::run(json, context)?,
        Command::Completions { shell } => completions::run(shell)?,
        Command::Man { out } => manual::run(&out)?,
    }
    Ok(Exit::Done)
}

impl Context {
    fn new(global: &Global, computes: bool) -> Result<Self> {
        if let Some(threads) = global.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(threads))
                .build_global()
                .context("the threads cannot be started")?;
        }
        let manner = Manner::here(global.quiet);
        let (device, precision) =
            device::choose(&global.device, global.precision, (computes, manner))?;
        Ok(Self { device, precision, manner })
    }

    /// Runs a function that reports its progress from any thread.
    pub(crate) fn counted<T, E>(
        &self,
        (name, unit): (&str, &'static str),
        work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let phase = Mutex::new((Phase::new(self.manner, name, 0, unit), 0));
        let done = work(&|done, of| {
            // A poisoned lock means that drawing the bar panicked: continue without it.
            if let Ok(mut shown) = phase.lock()
                && done > shown.1
            {
                shown.0.set_total(of as u64);
                shown.0.at(done as u64);
                shown.1 = done;
            }
        })?;
        if let Ok((phase, count)) = phase.into_inner() {
            phase.finish(&format!("{count} {unit}"));
        }
        Ok(done)
    }
}
