//! The training of a stage in its run folder: with a progress bar, a growing report, and a record of
//! when it was trained.

use anyhow::Result;
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::policy::Policy;
use stackgan_train::run::{Outcome, Setup, train};
use stackgan_train::run_dir::RunDir;
use stackgan_train::tensorboard::Board;

use super::record::Record;
use crate::progress::{Manner, TrainProgress};
use crate::report::RunReport;
use crate::signals::Stopper;

/// What is trained, where, and until when.
pub(crate) struct Training<'a> {
    /// The run.
    pub setup: Setup,
    /// Its folder. A run that has begun there goes on.
    pub dir: &'a RunDir,
    /// The folder's record.
    pub record: &'a mut Record,
    /// What to do with what is there.
    pub policy: Policy,
    /// Conditions for stopping.
    pub stopper: &'a Stopper,
    /// How progress is shown.
    pub manner: Manner,
    /// What is shown before the bar.
    pub name: &'a str,
}

/// Trains. `also` receives every event; the message that it returns is printed.
///
/// # Errors
/// Those of the training. The last checkpoint is kept.
pub(crate) fn train_stage(
    training: Training<'_>,
    also: &mut dyn FnMut(&TrainEvent) -> Option<String>,
) -> Result<Outcome> {
    let Training { setup, dir, record, policy, stopper, manner, name } = training;
    let device = setup.device.clone();
    // What goes on is recorded at its start, after all refusals.
    let mut begun = [dir.files().config(), dir.files().stats()].iter().all(|file| !file.is_file());
    if begun {
        // The settings first: without them a record would begin a run with others.
        dir.write(&dir.files().config(), setup.config.to_toml()?.as_bytes())?;
        record.begin(dir, 0, &device)?;
    }
    let (mut board, mut report) = (Board::new(dir.path()), RunReport::new(dir));
    let mut progress = TrainProgress::new(manner, name);
    let outcome = train(setup, dir, policy, &|| stopper.reason(), &mut |event| {
        progress.on(&event);
        if let Err(error) = board.on(&event) {
            let folder = dir.path().join("tb");
            progress.say(&format!(
                "warning: nothing more for TensorBoard: {}: {error}",
                folder.display()
            ));
        }
        report.on(&event);
        if let TrainEvent::Started { step, .. } = event
            && !begun
        {
            begun = true;
            if let Err(error) = record.begin(dir, step, &device) {
                progress.say(&format!("warning: {error:#}"));
            }
        }
        if let Some(text) = also(&event) {
            progress.say(&text);
        }
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            drop(report.fail(&error.to_string())); // a full disk must not hide what happened
            if begun {
                drop(record.end(dir, "failed", (None, &error.to_string())));
            }
            return Err(error.into());
        }
    };
    let how = why(outcome.reason);
    progress.finish(&format!("{how} at step {}", outcome.step));
    if let Err(error) = report.finish(outcome.reason) {
        manner.say(format!("warning: no report: {error:#}")); // the model exists nevertheless
    }
    let state = if outcome.reason == StopReason::Done { "done" } else { "stopped" };
    record.end(dir, state, (Some(outcome.step), how))?;
    Ok(outcome)
}

/// Why a training ended, in words.
pub(crate) const fn why(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Done => "done",
        StopReason::Signal(_) => "stopped by a signal",
        StopReason::TimeBudget => "time budget used",
        StopReason::StopFile => "stopped by the file STOP",
        StopReason::Requested => "stopped as asked",
    }
}
