//! The commands, each a function of what was typed, and what they share.

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
mod model;
mod output;
mod painting;
mod replay;
mod repro;
mod runs;
mod serve;
mod sources;
mod text;
mod train;
mod weights;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use candle_core::Device;
use rayon::prelude::*;
use stackgan_core::Model;

use crate::args::{Cli, Command, Global, Precision};
use crate::exit::{Exit, Problem, out_of_memory};
use crate::progress::{Manner, Phase};
pub(crate) use output::{aligned, check_writable, print, write_file, write_pieces};

/// What every command knows.
pub(crate) struct Context {
    /// Where to compute.
    pub device: Device,
    /// With what numbers convolutions and products are computed.
    pub precision: Precision,
    /// How much is shown on stderr, and how.
    pub manner: Manner,
}

/// Does what was typed.
///
/// # Errors
/// Whatever goes wrong; [`crate::exit`] knows the exit code.
pub(crate) fn run(cli: Cli) -> Result<Exit> {
    let context = Context::new(&cli.global, device::computes(&cli.command))?;
    // On a thread that computes: called from another, each of a step's thousand parallel loops would wake one and wait for it.
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
        Command::Interpolate(args) => interpolate::run(&args, context)?,
        Command::Repro(args) => return repro::run(&args, context),
        Command::Serve(args) => serve::run(&args, context)?,
        Command::Eval(args) => return eval::run(&args, context),
        Command::Nearest(args) => eval::nearest(&args, context)?,
        Command::Model(args) => return model::run(args, context),
        Command::Runs(args) => runs::run(args, context.manner)?,
        Command::Config(args) => config::run(args)?,
        Command::Doctor { json } => doctor::run(json, context)?,
        Command::Completions { shell } => completions::run(shell)?,
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

    /// Runs something that tells how much of it is done, from any thread.
    pub(crate) fn counted<T, E>(
        &self,
        (name, unit): (&str, &'static str),
        work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let phase = Mutex::new((Phase::new(self.manner, name, 0, unit), 0));
        let done = work(&|done, of| {
            // A poisoned lock means that drawing the bar failed: the work goes on without it.
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

/// Largest model file that is read.
const LARGEST_MODEL: u64 = 8 << 30;

/// The model file that `path` names: itself, or that of a run folder.
pub(crate) fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.to_path_buf() }
}

/// Reads a model: a file, or the one in a run folder. With it, the SHA-256 of the file.
///
/// # Errors
/// Code 4 when there is none, 3 when it is damaged.
pub(crate) fn load_model(path: &Path, device: &Device) -> Result<(Model, String)> {
    let file = model_file(path);
    let place = format!("file: {}", file.display());
    let Ok(facts) = file.metadata() else {
        let remedy = if path.is_dir() {
            "the run has not finished; go on with `stackgan train --run` and this folder"
        } else {
            "check the path; `stackgan train` and `stackgan demo` make models"
        };
        return Err(Problem::missing("there is no model", place, "a model file", remedy).into());
    };
    if facts.len() > LARGEST_MODEL {
        let parts = (format!("at most {LARGEST_MODEL} bytes"), format!("{} bytes", facts.len()));
        return Err(Problem::data("not a model", &file, parts, "check the path").into());
    }
    let bytes = File::open(&file).and_then(|file| read(&file)).map_err(|e| {
        let parts = ("a readable file", e.to_string());
        Problem::data("the model cannot be read", &file, parts, "check its permissions")
    })?;
    let (model, hash) =
        rayon::join(|| Model::from_bytes(&bytes, device), || stackgan_train::store::sha256(&bytes));
    match (model, other_kind(&bytes, &file)) {
        (Err(_), Some(problem)) => Err(problem.into()),
        (model, _) => {
            Ok((model.with_context(|| format!("cannot use the model\n  {place}"))?, hash))
        }
    }
}

/// What to say of a whole file of ours that holds something else.
fn other_kind(bytes: &[u8], file: &Path) -> Option<Problem> {
    let (found, remedy) = match encoders::kind(bytes)?.as_str() {
        "encoder" | "char-cnn-rnn" => (
            "a text encoder",
            "train a model with it: `stackgan train --stage 1 --encoder` and this file; or name a model that was",
        ),
        "prepared" => ("prepared pictures and captions", "name it with `--data`, and a model here"),
        "embeddings" => {
            ("embeddings of captions", "name them with `--embeddings`, and a model here")
        }
        checkpoint if checkpoint.starts_with("stackgan-checkpoint/") => {
            ("a checkpoint of a run", "name the run's folder, in which its model lies")
        }
        step if step.starts_with("stackgan-step/") => {
            ("a step that became non-finite", "`stackgan replay` and this file takes it again")
        }
        _ => return None,
    };
    Some(Problem::data("this is no model", file, ("a model file", found), remedy))
}

/// An open file, read by all threads: the pages of its memory cost more than its bytes. It is opened once, because a trainer may
/// put another file in its place meanwhile.
fn read(mut file: &File) -> io::Result<Vec<u8>> {
    const PIECE: usize = 8 << 20;
    let facts = file.metadata()?;
    let mut bytes = Vec::new();
    if facts.is_file() {
        bytes = vec![0; facts.len() as usize]; // zeros that nobody writes
        bytes
            .par_chunks_mut(PIECE)
            .enumerate()
            .try_for_each(|(i, piece)| file.read_exact_at(piece, (i * PIECE) as u64))?;
    } else {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_while_it_is_read_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("model"), folder.path().join("other"));
        std::fs::write(&path, vec![1; 20 << 20]).unwrap();
        std::fs::write(&other, vec![2; 20 << 20]).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::rename(other, path).unwrap();
        assert!(read(&file).unwrap() == vec![1; 20 << 20]);
    }
}
