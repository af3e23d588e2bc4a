//! The state of an encoder's training that was stopped, in a file beside the encoder: the same
//! command goes on from it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use stackgan_core::archive::{Archive, KEY};
use stackgan_core::digest::sha256;
use stackgan_train::text::TextTraining;

use crate::exit::{Problem, Stopped};
use crate::output::write_file;
use crate::signals::Stopper;

/// Usual time between two states.
const EVERY: Duration = Duration::from_secs(600);
/// Appended to the name of the encoder's file.
const SUFFIX: &str = ".unfinished";
/// The name of the losses of all steps.
const LOSSES: &str = "losses";

/// The file, and when to write it.
pub(crate) struct Unfinished {
    file: PathBuf,
    of: String,
    every: Duration,
    written: Instant,
    stopper: Stopper,
}

/// What a training left that was stopped.
pub(super) struct Left {
    /// The state of the training.
    pub state: Archive,
    /// The losses of its steps.
    pub losses: Vec<f32>,
    /// Seconds that they took.
    pub seconds: f64,
}

impl Unfinished {
    /// For a training that will write `out` and stops with `stopper`. `of` holds all that determines
    /// its result.
    pub(crate) fn beside(out: &Path, of: &str, stopper: Stopper) -> Self {
        let (file, of) = (beside(out), sha256(of.as_bytes()));
        Self { file, of, every: EVERY, written: Instant::now(), stopper }
    }

    /// Writes a state after every so much time.
    #[must_use]
    pub(crate) const fn every(mut self, time: Duration) -> Self {
        self.every = time;
        self
    }

    /// What to go on from, if there is something.
    ///
    /// # Errors
    /// Code 2 for the state of another training, 3 for a damaged one.
    pub(super) fn read(&self) -> Result<Option<Left>> {
        if !self.file.is_file() {
            return Ok(None);
        }
        let remedy = "remove the file to begin from the start, or write to another file";
        let damaged = |found: String| {
            let what = "the unfinished training cannot be read";
            Problem::data(what, &self.file, ("a state that was written whole", found), remedy)
        };
        let bytes = std::fs::read(&self.file).map_err(|e| damaged(e.to_string()))?;
        let state =
            Archive::from_bytes(&bytes, &Device::Cpu).map_err(|e| damaged(e.to_string()))?;
        let facts: Value = state
            .metadata
            .get(KEY)
            .and_then(|facts| serde_json::from_str(facts).ok())
            .ok_or_else(|| damaged("a file without its description".to_owned()))?;
        if facts["of"] == self.of.as_str() {
            let losses = state.tensors.get(LOSSES).map(Tensor::to_vec1).transpose();
            let losses = losses.map_err(|e| damaged(e.to_string()))?;
            let losses = losses.ok_or_else(|| damaged("a state without its losses".to_owned()))?;
            let seconds = facts["seconds"].as_f64().map_or(0.0, |seconds| seconds.max(0.0));
            return Ok(Some(Left { state, losses, seconds }));
        }
        let place = format!("file: {}", self.file.display());
        let parts = ("one with these settings, these data and this seed", "another one");
        let what = "an unfinished training of another encoder is in the way";
        Err(Problem::usage(what, place, parts, remedy).into())
    }

    /// Writes the state, with the losses of all steps and the seconds that they took, if it is time
    /// to, and ends the training if it is to stop.
    ///
    /// # Errors
    /// [`Stopped`], and [`Problem`] of the storage.
    pub(super) fn look(
        &mut self,
        training: &TextTraining<'_>,
        (losses, seconds): (&[f32], f64),
    ) -> Result<()> {
        let reason = self.stopper.reason();
        if reason.is_none() && self.written.elapsed() < self.every {
            return Ok(());
        }
        let mut state = training.state()?;
        let facts = json!({ "kind": "unfinished encoder", "of": self.of, "seconds": seconds });
        state.metadata.insert(KEY.to_owned(), facts.to_string());
        state.tensors.insert(LOSSES.to_owned(), Tensor::new(losses, &Device::Cpu)?);
        write_file(&self.file, &state.to_bytes()?)?;
        self.written = Instant::now();
        match reason {
            None => Ok(()),
            Some(reason) => {
                let step = training.steps();
                let message = format!(
                    "the text encoder's training is stopped at step {step}; the same command goes on from there"
                );
                Err(Stopped { reason, message }.into())
            }
        }
    }

    /// Removes the file beside `out` of a training whose encoder is written there.
    pub(crate) fn forget(out: &Path) {
        let _ = std::fs::remove_file(beside(out)); // if it cannot be removed, it does no harm
    }
}

fn beside(out: &Path) -> PathBuf {
    let mut file = OsString::from(out);
    file.push(SUFFIX);
    file.into()
}
