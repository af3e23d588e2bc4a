//! `train --eval-every`: measures a run's model at some of its checkpoints, with the code of
//! `stackgan eval`, and keeps the best model. If a measurement fails, a warning is printed and the
//! training continues.
//!
//! A measurement that a kill cut off, or that a stop did not wait for, is made when the run goes on, so
//! that `eval.jsonl` is that of a run without either. The best model is written before its line: if a
//! kill comes between the two, both are made again.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use stackgan_data::prepared::Prepared;
use stackgan_eval::report::Measured;
use stackgan_train::config::TrainConfig;
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::run;
use stackgan_train::run_dir::RunDir;
use stackgan_train::run_files::steps_of_sound_model;

use crate::args::{self, Eval, Metric, PainterOptions, Part};
use crate::context::Context;
use crate::datasets::{ANY_SIZE, there};
use crate::exit::with_causes;
use crate::measuring::{Found, check_data, judges, measured};
use crate::progress::Manner;
use crate::run::{Measure, Measurements, Record};

/// Measurements at checkpoints.
pub(super) struct Evaluation<'a> {
    args: Eval,
    every: u64,
    context: &'a Context,
    /// The step of the last measurement.
    last: u64,
    /// The deciding measure of the best model. Values of different networks cannot be compared.
    best: Option<Measure>,
    /// Whether the warnings were said, which are the same each time.
    warned: bool,
}

impl<'a> Evaluation<'a> {
    /// Builds it from the options of the run; `None` without `--eval-every`.
    ///
    /// # Errors
    /// If something is missing for the measurement, so that this is known before hours of training.
    pub(super) fn of(
        wanted: &Record,
        (path, data, embeddings): (&Path, &Prepared, Option<&Path>),
        context: &'a Context,
    ) -> Result<Option<Self>> {
        let Some((every, asked)) = measurements_of(wanted) else { return Ok(None) };
        let args = Self::asked(asked, path, embeddings);
        judges(&args)?;
        check_data(&args, data)?;
        Ok(Some(Self { args, every, context, last: 0, best: None, warned: false }))
    }

    /// Checks the options before anything is made: what they name, and the data if these are
    /// prepared.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn check(wanted: &Record) -> Result<()> {
        let Some((_, asked)) = measurements_of(wanted) else { return Ok(()) };
        let path = wanted.data.as_deref();
        let args = Self::asked(asked, path.unwrap_or(Path::new("")), None);
        judges(&args)?;
        let Some(path) = path else { return Ok(()) };
        let prepared = match path.is_dir() {
            true => there(path, ANY_SIZE)?,
            false => Some(Prepared::open(path)?),
        };
        prepared.map_or(Ok(()), |data| check_data(&args, &data))
    }

    /// Sets the run folder.
    pub(super) fn begin(&mut self, dir: &RunDir) {
        self.args.model = Some(dir.files().model());
    }

    /// The measurement of a model, which [`Self::begin`] names.
    fn asked(args: &args::Evaluation, path: &Path, embeddings: Option<&Path>) -> Eval {
        let embeddings = embeddings.map(Path::to_path_buf);
        Eval {
            data: Some(path.to_path_buf()),
            split: Part::Test,
            metrics: args.eval_metrics.clone(),
            num: args.eval_num,
            features: args.eval_features.clone(),
            judge: args.eval_judge.clone(),
            candidates: args.eval_candidates,
            painting: PainterOptions { embeddings, ..PainterOptions::default() },
            ..Eval::default()
        }
    }

    /// Measures if the event is a checkpoint that is due, the end of a run whose last model was not
    /// measured, or the start of one that goes on from a checkpoint that should have been, and returns a
    /// message.
    pub(super) fn on(&mut self, event: &TrainEvent, dir: &RunDir) -> Option<String> {
        match event {
            TrainEvent::Started { step, .. } => {
                let gone = self.take_up(dir);
                let made_up =
                    if saves_at(dir, *step) { self.due((*step, false), dir) } else { None };
                let said: Vec<String> = gone.into_iter().chain(made_up).collect();
                (!said.is_empty()).then(|| said.join("\n"))
            }
            TrainEvent::WentBack { .. } => self.take_up(dir),
            TrainEvent::Checkpoint { step, ends: None | Some(StopReason::Done), .. } => {
                self.due((*step, false), dir)
            }
            TrainEvent::Checkpoint { step, .. } => {
                let later = is_due((*step, false), self.last, self.every) && saves_at(dir, *step);
                later.then(|| format!("step {step} is measured when the run goes on"))
            }
            TrainEvent::Finished { step, reason: StopReason::Done } => self.due((*step, true), dir),
            _ => None,
        }
    }

    /// Takes up the earlier measurements, of which the run has cut those after the step that it goes on
    /// from. Returns a message if the best of them has no model any more.
    fn take_up(&mut self, dir: &RunDir) -> Option<String> {
        let earlier = Measurements::read(dir.path());
        self.last = earlier.newest().map_or(0, |newest| newest.step);
        let deciding = earlier.last_best().and_then(|best| best.measure(self.key()?));
        self.best = deciding.filter(|measure| measure.value.is_some()).cloned();
        let step = earlier.last_best()?.step;
        let is_there = is_of(step, &Measurements::best_model(dir.path())).is_ok();
        (!is_there).then(|| {
            format!(
                "warning: best.safetensors is not the model of step {step}, the best that was measured up to here: a better \
                 one takes its place"
            )
        })
    }

    /// Measures the model of a step, or of the last one, if it is due, and returns a message.
    fn due(&mut self, at: (u64, bool), dir: &RunDir) -> Option<String> {
        let (step, _) = at;
        if step == 0 || !is_due(at, self.last, self.every) {
            return None;
        }
        let measured = is_of(step, &dir.files().model()).and_then(|()| {
            self.last = step;
            self.measure(step, dir)
        });
        Some(measured.unwrap_or_else(|error| {
            format!("warning: not measured at step {step}: {}", with_causes(&error))
        }))
    }

    /// Measures, keeps the model if it is the best, and writes a line about it.
    fn measure(&mut self, step: u64, dir: &RunDir) -> Result<String> {
        let quiet = Context { manner: Manner::Quiet, ..self.context.clone() };
        let found = measured(&self.args, &quiet)?;
        let deciding = found.measures.iter().find(|m| Some(m.key) == self.key());
        let better = deciding.map(Measure::from).filter(|measure| self.is_better(measure));
        let kept = better.as_ref().map(|_| keep(dir)).transpose();
        let best = better.is_some() && kept.is_ok();
        if best {
            self.best = better; // what is not kept is not compared with
        }
        let noted = dir.append_line(&dir.files().measured(), &self.line(step, best, &found));
        let mut warnings: Vec<String> = match std::mem::replace(&mut self.warned, true) {
            false => found.warnings,
            true => Vec::new(),
        };
        warnings.extend(kept.err().map(|error| {
            format!("the best so far, but not kept as best.safetensors: {}", with_causes(&error))
        }));
        warnings.extend(noted.err().map(|error| format!("not noted in eval.jsonl: {error}")));
        let best = self.key().filter(|_| best);
        let numbers: Vec<String> = found.measures.iter().map(|m| told(m, best)).collect();
        let left_out: String = found.left_out.iter().map(|why| format!("; no {why}")).collect();
        let warnings: String = warnings.iter().map(|w| format!("\n  warning: {w}")).collect();
        Ok(format!("step {step}: {}{left_out}{warnings}", numbers.join(", ")))
    }

    /// The line of a measurement in `eval.jsonl`.
    fn line(&self, step: u64, best: bool, found: &Found) -> Value {
        let Found { measures, left_out, warnings, .. } = found;
        let mut line =
            json!({ "step": step, "best": best, "decides": self.key(), "measures": measures });
        for (key, texts) in [("left_out", left_out), ("warnings", warnings)] {
            if !texts.is_empty() {
                line[key] = json!(texts);
            }
        }
        line
    }

    /// Returns whether the deciding measure is better than the best so far, which must have been
    /// measured in the same way.
    fn is_better(&self, measure: &Measure) -> bool {
        let best = self.best.as_ref().filter(|best| best.is_like(measure));
        let best = best.and_then(|best| best.value);
        let deciding = self.args.metrics.first().zip(measure.value);
        deciding.is_some_and(|(metric, value)| improves(*metric, value, best))
    }

    /// Returns the key of the deciding number.
    fn key(&self) -> Option<&'static str> {
        self.args.metrics.first().map(|metric| key(*metric))
    }
}

/// Checks that a model is of this step.
fn is_of(step: u64, model: &Path) -> Result<()> {
    match steps_of_sound_model(model) {
        Some(found) if found == step => Ok(()),
        Some(found) => bail!("the model is of step {found}"),
        None => bail!("there is no sound model that can be read\n  file: {}", model.display()),
    }
}

/// Keeps the model of a run as its best.
fn keep(dir: &RunDir) -> Result<()> {
    let model = std::fs::read(dir.files().model())?;
    Ok(dir.write(&Measurements::best_model(dir.path()), &model)?)
}

/// Whether the run saves after `step` steps although nothing stops it there. A run that was not stopped
/// is measured at no other step, but its last.
fn saves_at(dir: &RunDir, step: u64) -> bool {
    let text = std::fs::read_to_string(dir.files().config()).unwrap_or_default();
    TrainConfig::from_toml(&text).is_ok_and(|config| run::saves_at(&config.run, step))
}

/// The measurements that a run was told to take, and after how many steps each.
fn measurements_of(wanted: &Record) -> Option<(u64, &args::Evaluation)> {
    let asked = wanted.evaluation.as_ref()?;
    asked.eval_every.filter(|every| *every > 0).map(|every| (every, asked))
}

/// Whether a model is measured `every` so many steps, the last time at step `last`. A run that went back
/// measures again, and the last model is measured whatever its step is.
const fn is_due((step, ends): (u64, bool), last: u64, every: u64) -> bool {
    step < last || step / every > last / every || ends && step != last
}

/// Returns whether a measure's first number is better than the best so far. Variety is measured as
/// similarity: 1 means always the same picture.
fn improves(metric: Metric, value: f64, best: Option<f64>) -> bool {
    let smaller = match metric {
        Metric::Fid | Metric::Kid | Metric::Variety => true,
        Metric::Is | Metric::Pr | Metric::Rp | Metric::Colours => false,
    };
    value.is_finite() && best.is_none_or(|best| if smaller { value < best } else { value > best })
}

/// The key that `stackgan eval` gives to a measure's first number.
const fn key(metric: Metric) -> &'static str {
    match metric {
        Metric::Fid => "fid",
        Metric::Kid => "kid",
        Metric::Is => "is",
        Metric::Pr => "precision",
        Metric::Rp => "rp",
        Metric::Variety => "variety",
        Metric::Colours => "colour_body",
    }
}

/// Formats a number. The one with the key `best` is marked as the best so far.
fn told(measure: &Measured, best: Option<&str>) -> String {
    let best = if best == Some(measure.key) { " (the best so far)" } else { "" };
    format!("{} {:.4}{best}", measure.name, measure.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_likenesses_are_better_when_they_are_small() {
        for metric in [Metric::Fid, Metric::Kid, Metric::Variety] {
            assert!(improves(metric, 0.3, Some(0.9)) && !improves(metric, 0.9, Some(0.3)));
        }
        for metric in [Metric::Is, Metric::Pr, Metric::Rp, Metric::Colours] {
            assert!(improves(metric, 0.9, Some(0.3)) && !improves(metric, 0.3, Some(0.9)));
        }
        assert!(improves(Metric::Fid, 9.0, None) && !improves(Metric::Fid, f64::NAN, None));
    }

    #[test]
    fn models_are_measured_once_in_so_many_steps_and_at_the_end() {
        for (step, last, due) in [
            ((1000, false), 0, false),
            ((4000, false), 0, true),
            ((7000, false), 4000, false),
            ((9000, false), 4000, true),
            ((3000, false), 4000, true),
            ((6000, true), 4000, true),
            ((6000, true), 6000, false),
        ] {
            assert_eq!(is_due(step, last, 4000), due, "{step:?} after {last}");
        }
    }

    #[test]
    fn the_number_that_decides_says_that_it_is_the_best() {
        let of = |key, name: &str| Measured {
            key,
            name: name.to_owned(),
            value: 0.25,
            interval: None,
            std: None,
            count: 9,
            real: 0,
            how: String::new(),
            by: String::new(),
        };
        let told = |best| [told(&of("rp", "R"), best), told(&of("variety", "V"), best)].join(", ");
        assert_eq!(told(Some("rp")), "R 0.2500 (the best so far), V 0.2500");
        assert_eq!(told(None), "R 0.2500, V 0.2500");
    }
}
