//! The training of a stage, with a progress bar and a growing report.

use anyhow::Result;
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::policy::Policy;
use stackgan_train::run::{Outcome, Setup, train};
use stackgan_train::run_dir::RunDir;
use stackgan_train::tensorboard::Board;

use crate::progress::{Manner, TrainProgress};
use crate::report::RunReport;
use crate::signals::Stopper;

/// Trains with a progress bar and a growing report. `name` is shown before the bar. `also` receives
/// every event; the message that it returns is printed.
///
/// # Errors
/// Those of the training. The last checkpoint is kept.
pub(crate) fn train_stage(
    setup: Setup,
    dir: &RunDir,
    policy: impl Into<Policy>,
    stopper: &Stopper,
    (manner, name): (Manner, &str),
    also: &mut dyn FnMut(&TrainEvent) -> Option<String>,
) -> Result<Outcome> {
    let mut progress = TrainProgress::new(manner, name);
    let (mut board, mut report) = (Board::new(dir.path()), RunReport::new(dir));
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
        if let Some(text) = also(&event) {
            progress.say(&text);
        }
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            drop(report.fail(&error.to_string())); // a full disk must not hide what happened
            return Err(error.into());
        }
    };
    progress.finish(&format!("{} at step {}", why(outcome.reason), outcome.step));
    if let Err(error) = report.finish(outcome.reason) {
        manner.say(format!("warning: no report: {error:#}")); // the model exists nevertheless
    }
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
