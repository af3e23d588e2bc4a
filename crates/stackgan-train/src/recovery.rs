//! How a run goes on from its checkpoints: when it is taken up again, and after a step that is not
//! finite, of which it leaves a bundle.

use stackgan_core::Stage;

use crate::event::TrainEvent;
use crate::feed::Fed;
use crate::policy::{OnNonFinite, Policy, Resume};
use crate::projected::Projected;
use crate::run_dir::{RunDir, remove};
use crate::state::Run;
use crate::store::Store;
use crate::{Error, Result, replay};

/// Of how many steps that are left out a run keeps bundles, each of which is as large as a checkpoint.
const BUNDLES: usize = 8;

impl Run {
    /// Restores the newest checkpoint and returns its step count.
    pub(crate) fn resume(
        &mut self,
        (store, dir): (&Store, &RunDir),
        policy: &Policy,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<u64> {
        let newest = store.newest(&self.setup.device)?;
        if let (Some((older, _)), Resume::Strict, damaged @ [_, ..]) =
            (&newest.found, policy.resume, &newest.passed_over[..])
        {
            return Err(Error::Checkpoint {
                what: "the newest checkpoint is damaged".to_owned(),
                file: store.folder().to_path_buf(),
                expected: "a whole one".to_owned(),
                found: damaged.join("; ").into(),
                remedy: format!(
                    "step {} is whole: leave `--strict` out to go on from it, or restore the file from a copy",
                    older.step
                ),
            });
        }
        match (newest.found, policy.resume) {
            (None, _) if dir.is_begun() => Err(Error::Checkpoint {
                what: "the run has begun, and its checkpoints are gone".to_owned(),
                file: store.folder().to_path_buf(),
                expected: "a checkpoint to go on from".to_owned(),
                found: "none".to_owned().into(),
                remedy: "restore the folder from a copy, or train in another one".to_owned(),
            }),
            (None, _) => {
                passed_over(newest.passed_over, 0, on_event);
                Ok(0)
            }
            (Some(saved), Resume::Auto | Resume::Strict) => {
                let changes = self.identity.check(&saved.0, &policy.allow_change)?;
                self.check_length(saved.0.step)?;
                let step = self.restore(saved)?;
                passed_over(newest.passed_over, step, on_event);
                if !changes.is_empty() {
                    self.checkpoint(store, step)?; // from here on with this configuration
                }
                changes.into_iter().for_each(|text| on_event(TrainEvent::Warning { step, text }));
                Ok(step)
            }
            (Some(_), Resume::Never) => Err(Error::Config {
                key: "--resume never".to_owned(),
                expected: "a run folder without checkpoints".to_owned(),
                found: "checkpoints of an earlier run".to_owned(),
                remedy: "give --resume auto to go on, or another --run folder".to_owned(),
            }),
        }
    }

    /// Refuses a length, which may be one that was allowed, of fewer steps than the run has taken.
    fn check_length(&self, taken: u64) -> Result<()> {
        if taken <= self.steps {
            return Ok(());
        }
        let optim = &self.setup.config.optim;
        let (key, found) = match optim.steps {
            0 => ("optim.epochs", format!("{}: {} steps", optim.epochs, self.steps)),
            steps => ("optim.steps", steps.to_string()),
        };
        Err(Error::Config {
            key: key.to_owned(),
            expected: format!("at least the {taken} steps that the run has taken"),
            found,
            remedy: "give a length that is not below these, or that which the run had".to_owned(),
        })
    }

    /// Writes a bundle of the non-finite step, and adds its path to the error, with what else can be
    /// done if the run does not go back by itself.
    pub(crate) fn bundle(
        &self,
        error: Error,
        fed: &Fed,
        dir: &RunDir,
        policy: OnNonFinite,
    ) -> Result<Error> {
        let Error::NonFinite { step, term, value, .. } = &error else { return Ok(error) };
        let goes_on =
            matches!(policy, OnNonFinite::Rollback(most) if (self.skipped.len() as u64) < most);
        let path = dir.files().bundle(*step);
        let (config, game) = (&self.setup.config, &self.players.game);
        let matcher = game.matcher.as_ref();
        let projection = game.projected.as_ref().map(Projected::projection);
        let facts = replay::Facts {
            format: replay::FORMAT.to_owned(),
            step: *step,
            epoch: fed.epoch,
            term: term.clone(),
            value: value.to_string(),
            indices: fed.indices.clone(),
            decay: self.decay(fed),
            optimiser_steps: (self.players.g().adam.steps(), self.players.d().adam.steps()),
            stage1: match config.stage {
                Stage::Two => self.setup.stage1.as_ref().map(|model| model.info().stage1.net),
                Stage::One => None,
            },
            matching: matcher.map(|matcher| matcher.encoders().clone()),
            projected: projection.map(|projection| projection.name().to_owned()),
            config: config.to_toml()?,
        };
        let bytes = || -> Result<Vec<u8>> {
            let mut archive = self.archive();
            if let Some(matcher) = matcher {
                archive.extend(replay::MATCHING, matcher.tensors()?);
            }
            if let Some(projection) = projection {
                archive.extend(replay::PROJECTION, projection.tensors().clone());
            }
            replay::to_bytes(archive, &facts, &fed.inputs)
        };
        let advice = "look at this step alone: `stackgan replay";
        let more = match self.skipped.len() {
            0 => "`--on-nonfinite rollback:3`".to_owned(),
            n => {
                format!("more than the {n} that were left out: `--on-nonfinite rollback:{}`", n + 3)
            }
        };
        let after = match goes_on {
            true => String::new(),
            false => format!(
                "; then train in another run folder with a smaller learning rate, mend the data, or give {more}"
            ),
        };
        Ok(match bytes().and_then(|bytes| dir.write(&path, &bytes)) {
            Ok(()) => {
                let older = self.skipped.iter().rev().skip(BUNDLES - 1);
                older.for_each(|step| drop(remove(&dir.files().bundle(*step))));
                error.advising(format!("{advice} {}`{after}", path.display()))
            }
            Err(_) => error, // a full disk or memory must not hide the original error
        })
    }

    /// Goes back to the newest checkpoint and marks the step of `error` as skipped. Returns the
    /// step count and a warning for the user.
    pub(crate) fn roll_back(
        &mut self,
        error: Error,
        store: &Store,
        policy: OnNonFinite,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<(u64, String)> {
        let (Error::NonFinite { step, .. }, OnNonFinite::Rollback(most)) = (&error, policy) else {
            return Err(error);
        };
        let step = *step;
        if self.skipped.len() as u64 >= most {
            return Err(error);
        }
        let mut skipped = self.skipped.clone();
        skipped.insert(step);
        let restored = self.between_steps(|run| {
            let newest = store.newest(&run.setup.device)?;
            let back = newest.found.map(|saved| run.restore(saved)).transpose()?;
            Ok(back.map(|back| (back, newest.passed_over)))
        });
        let (back, damaged) = match restored {
            Ok(Some(restored)) => restored,
            Ok(None) => return Err(error),
            Err(other) => {
                let text = format!("there is no checkpoint to go back to: {other}");
                on_event(TrainEvent::Warning { step, text });
                return Err(error);
            }
        };
        passed_over(damaged, back, on_event);
        self.skipped.extend(skipped);
        let count = self.skipped.len();
        let text = format!(
            "{error}\n  back to step {back}; step {step} is left out ({count} of at most {most})"
        );
        Ok((back, text))
    }
}

/// Warns about damaged checkpoints, at the step that is gone on from.
fn passed_over(damaged: Vec<String>, step: u64, on_event: &mut dyn FnMut(TrainEvent)) {
    damaged.into_iter().for_each(|text| on_event(TrainEvent::Warning { step, text }));
}
