//! What a run keeps in its folder of the models that it began on, so that it needs none of them to go
//! on: they may be trained on, moved or removed.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::Model;
use stackgan_core::text::CharCnnRnnEncoder;
use stackgan_train::run_dir::RunDir;
use stackgan_train::run_files::RunFiles;

use crate::args::Train;
use crate::output::write_kept;

/// The files of a run that goes on, as far as it has them.
#[derive(Default)]
pub(super) struct Kept {
    /// The Stage-I model of Stage-II, unless the command names one.
    pub stage1: Option<PathBuf>,
    /// The text encoder of the model that Stage-I started from.
    pub encoder: Option<PathBuf>,
}

impl Kept {
    /// Finds those of the run that is `resumed`.
    pub(super) fn of(args: &Train, resumed: Option<&Path>) -> Self {
        let Some(run) = resumed.map(RunFiles::of) else { return Self::default() };
        let there = |file: PathBuf| Some(file).filter(|file| file.is_file());
        let stage1 = there(run.stage1()).filter(|_| args.stage1.is_none());
        Self { stage1, encoder: there(run.encoder()) }
    }
}

/// Keeps the Stage-I model that Stage-II builds on, and an encoder that came with a model, in place of
/// those of a start that came to nothing.
///
/// # Errors
/// Code 6 if one cannot be written; tensors that cannot be read back from the device.
pub(super) fn keep(
    stage1: Option<&Model>,
    encoder: Option<&CharCnnRnnEncoder>,
    dir: &RunDir,
) -> Result<()> {
    let write = |file: PathBuf, bytes: Vec<u8>| match std::fs::read(&file) {
        Ok(there) if there == bytes => Ok(()),
        _ => write_kept(&file, &bytes),
    };
    let run = RunFiles::of(dir.path());
    if let Some(model) = stage1 {
        write(run.stage1(), model.to_bytes()?)?;
    }
    if let Some(encoder) = encoder {
        write(run.encoder(), encoder.to_bytes()?)?;
    }
    Ok(())
}
