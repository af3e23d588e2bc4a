//! `train --eval-every`: measures a run's model at some of its checkpoints, with the code of
//! `stackgan eval`, and keeps the best model. If a measurement fails, a warning is printed and the
//! training continues.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use stackgan_data::prepared::Prepared;
use stackgan_eval::report::Measured;
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::run_dir::RunDir;

use crate::args::{self, Eval, Metric, Part};
use crate::context::Context;
use crate::datasets::{ANY_SIZE, there};
use crate::measuring::{check_data, judges, measured};
use crate::progress::Manner;
use crate::report::Measurements;
use crate::run::Record;

/// Measurements at checkpoints.
pub(super) struct Evaluation<'a> {
    args: Eval,
    every: u64,
    context: &'a Context,
    /// The step of the last measurement.
    last: u64,
    /// The best value of the deciding measure, and how it was measured. Values of different
    /// networks cannot be compared.
    best: Option<(f64, String)>,
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

    /// Sets the run folder, whose earlier measurements are continued.
    pub(super) fn begin(&mut self, dir: &RunDir) {
        self.args.model = Some(dir.files().model());
        for (step, value, by) in self.earlier(dir) {
            self.last = self.last.max(step);
            if self.is_better(value, &by) {
                self.best = Some((value, by));
            }
        }
    }

    /// The measurement of a model, which [`Self::begin`] names.
    fn asked(args: &args::Evaluation, path: &Path, embeddings: Option<&Path>) -> Eval {
        Eval {
            model: None,
            pictures: None,
            data: Some(path.to_path_buf()),
            split: Part::Test,
            metrics: args.eval_metrics.clone(),
            num: args.eval_num,
            features: args.eval_features.clone(),
            judge: args.eval_judge.clone(),
            candidates: args.eval_candidates,
            encoder: None,
            embeddings: embeddings.map(Path::to_path_buf),
            stage: None,
            seed: 0,
            z_scale: None,
            bootstrap: 0,
            stats: None,
            save_stats: None,
            max_fid: None,
            max_fd: None,
            out: None,
            json: false,
        }
    }

    /// Measures if the event is a checkpoint that is due, or the end of a run whose last model was not
    /// measured, and returns a message.
    pub(super) fn on(&mut self, event: &TrainEvent, dir: &RunDir) -> Option<String> {
        let (step, ends) = match event {
            TrainEvent::Checkpoint { step, .. } => (step, false),
            TrainEvent::Finished { step, reason } => (step, *reason == StopReason::Done),
            _ => return None,
        };
        let due = is_due((*step, ends), self.last, self.every);
        if *step == 0 || !due {
            return None;
        }
        self.last = *step;
        Some(
            self.measure(*step, dir)
                .unwrap_or_else(|error| format!("warning: not measured at step {step}: {error:#}")),
        )
    }

    fn measure(&mut self, step: u64, dir: &RunDir) -> Result<String> {
        let quiet = Context { manner: Manner::Quiet, ..self.context.clone() };
        let found = measured(&self.args, &quiet)?;
        let deciding = found.measures.iter().find(|m| Some(m.key) == self.key());
        let deciding = deciding.map(|m| {
            let numbers = [m.count, m.real].map(|n| n as u64);
            (m.value, alike((&m.name, &m.by, &m.how), numbers))
        });
        let better = deciding.filter(|(value, by)| self.is_better(*value, by));
        if better.is_some() {
            dir.write(&Measurements::best_model(dir.path()), &std::fs::read(dir.files().model())?)?;
        }
        let (better, best) = (better.is_some(), better.or_else(|| self.best.take()));
        self.best = best;
        let mut line = json!({ "step": step, "best": better, "decides": self.key(), "measures": found.measures });
        if !found.left_out.is_empty() {
            line["left_out"] = json!(found.left_out);
        }
        let warnings = found.warnings;
        if !warnings.is_empty() {
            line["warnings"] = json!(warnings);
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(Measurements::file(dir.path()))?;
        writeln!(file, "{line}")?;
        let best = self.key().filter(|_| better);
        let numbers: Vec<String> = found.measures.iter().map(|m| told(m, best)).collect();
        let left_out: String = found.left_out.iter().map(|why| format!("; no {why}")).collect();
        let first = !std::mem::replace(&mut self.warned, true);
        let warnings = warnings.iter().filter(|_| first);
        let warnings: String = warnings.map(|warning| format!("\n  warning: {warning}")).collect();
        Ok(format!("step {step}: {}{left_out}{warnings}", numbers.join(", ")))
    }

    /// Returns whether a value of the deciding measure is better than the best so far, which must
    /// have been measured in the same way.
    fn is_better(&self, value: f64, by: &str) -> bool {
        let best = self.best.as_ref().filter(|(_, best)| best == by).map(|(best, _)| *best);
        self.args.metrics.first().is_some_and(|metric| improves(*metric, value, best))
    }

    /// Returns the key of the deciding number.
    fn key(&self) -> Option<&'static str> {
        self.args.metrics.first().map(|metric| key(*metric))
    }

    /// Returns steps and values of earlier measurements by the deciding measure, and how they were
    /// measured.
    fn earlier(&self, dir: &RunDir) -> Vec<(u64, f64, String)> {
        let text = std::fs::read_to_string(Measurements::file(dir.path())).unwrap_or_default();
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            let mut measures = line["measures"].as_array()?.iter();
            let deciding = measures.find(|measure| measure["key"].as_str() == self.key())?;
            let text = |key: &str| deciding[key].as_str();
            let numbers = ["count", "real"].map(|key| deciding[key].as_u64().unwrap_or_default());
            let by = alike((text("name")?, text("by")?, text("how").unwrap_or_default()), numbers);
            Some((line["step"].as_u64()?, deciding["value"].as_f64()?, by))
        };
        text.lines().filter_map(line).collect()
    }
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

/// How a value was measured: by what, and from how many painted and real pictures.
fn alike((name, by, how): (&str, &str, &str), [count, real]: [u64; 2]) -> String {
    format!("{name} {by} {how} {count} {real}")
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
    fn values_of_other_numbers_of_pictures_are_not_alike() {
        let by = ("KD", "a network", "100 subsets");
        assert_ne!(alike(by, [400, 300]), alike(by, [4000, 300]));
        assert_ne!(alike(by, [400, 300]), alike(("KD", "a network", "1 subset"), [400, 300]));
        assert_eq!(alike(by, [400, 300]), alike(by, [400, 300]));
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
