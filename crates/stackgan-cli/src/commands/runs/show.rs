//! `stackgan runs show`: one run with its values and files, and the next command.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use stackgan_train::policy::OnNonFinite;
use stackgan_train::run_files::RunFiles;

use super::facts::{Facts, State};
use crate::args::MOST_ROLLBACKS;
use crate::output::{Answer, Form, path_text, quoted};
use crate::progress::duration;
use crate::report::{RunReport, number};
use crate::run::{Measurement, Measurements, Record, checkpoints};

/// Shows one run.
pub(super) fn run(path: &Path, form: Form) -> Result<()> {
    let facts = Facts::read(path);
    let checkpoints = checkpoints(path);
    let checkpoints = checkpoints.into_iter().map(|(step, bytes)| Checkpoint { step, bytes });
    let (measurements, mut next) = (Measurements::read(path), next(&facts).into_iter());
    let files = [RunReport::file(path), RunFiles::of(path).model(), Measurements::best_model(path)];
    let files = files.into_iter().filter(|file| file.is_file());
    form.show(&Run {
        files: files.map(|file| path_text(&file)).collect(),
        checkpoints: checkpoints.collect(),
        next: next.next(),
        or: next.next(),
        measured: measurements.newest().cloned(),
        best: measurements.best().cloned(),
        facts,
    })
}

/// A run with its files.
#[derive(Serialize)]
struct Run {
    #[serde(flatten)]
    facts: Facts,
    checkpoints: Vec<Checkpoint>,
    /// The files for a person, of those that there are.
    files: Vec<String>,
    /// The next command.
    next: Option<String>,
    /// The one after it.
    or: Option<String>,
    /// The newest measurement.
    #[serde(serialize_with = "numbers")]
    measured: Option<Measurement>,
    /// The measurement of the best model.
    #[serde(serialize_with = "numbers")]
    best: Option<Measurement>,
}

/// A checkpoint on disk.
#[derive(Serialize)]
struct Checkpoint {
    step: u64,
    bytes: u64,
}

fn numbers<S: serde::Serializer>(one: &Option<Measurement>, to: S) -> Result<S::Ok, S::Error> {
    one.as_ref().map(Measurement::numbers).serialize(to)
}

impl Answer for Run {
    fn lines(&self) -> Vec<String> {
        let facts = &self.facts;
        let of = facts.steps.map_or_else(String::new, |steps| format!(" of {steps}"));
        let mut lines = vec![
            format!("run          {}", facts.path.display()),
            format!("state        {}", facts.state.word()),
            format!("step         {}{of}, epoch {}", facts.step, facts.epoch),
        ];
        let mut say = |line| lines.push(line);
        if let Some(speed) = facts.steps_a_second {
            let pictures = facts.batch.map_or_else(String::new, |batch| {
                format!(", {} pictures a second", number(speed * batch as f64))
            });
            say(format!("speed        {} steps a second{pictures}", number(speed)));
        }
        if let Some(left) = facts.seconds_left.filter(|_| facts.state == State::Running) {
            say(format!("left         {}", duration(left)));
        }
        for sitting in &facts.sittings {
            say(format!("trained      {}", sitting.line()));
        }
        for Checkpoint { step, bytes } in &self.checkpoints {
            let mib = *bytes as f64 / f64::from(1 << 20);
            say(format!("checkpoint   step {step}, {mib:.1} MiB"));
        }
        for (name, value) in &facts.last {
            say(format!("{name:12} {}", number(*value)));
        }
        if let Some(newest) = &self.measured {
            say(format!("measured     step {}: {}", newest.step, newest.line()));
        }
        if let Some(best) = &self.best {
            say(format!("best         step {}: {}", best.step, best.verdict()));
        }
        for file in &self.files {
            say(format!("file         {file}"));
        }
        for next in self.next.iter().chain(&self.or) {
            say(format!("next         {next}"));
        }
        lines
    }
}

/// The next commands: one, or for a run that ended with a non-finite value what to look at first.
/// None for a run that ended before its settings were written, because resuming in the folder would
/// start a different run.
fn next(facts: &Facts) -> Vec<String> {
    let folder = quoted(&facts.path);
    match (facts.state, facts.stage) {
        (State::Running, _) => vec![format!("stackgan runs watch {folder}")],
        (State::Stopped | State::Failed | State::Interrupted, Some(stage))
            if RunFiles::of(&facts.path).config().is_file() =>
        {
            let go_on = format!("stackgan train --stage {stage} --run {folder}");
            match ended_by(facts) {
                Some(step) => vec![
                    format!("stackgan replay {}", quoted(&step)),
                    format!(
                        "{go_on} --on-nonfinite rollback:{}",
                        (left_out(&facts.path) + 3).min(MOST_ROLLBACKS)
                    ),
                ],
                None => vec![go_on],
            }
        }
        (State::Done, _) if facts.model => vec![match Record::read(&facts.path) {
            Some(Record { embeddings: Some(_), data: Some(data), .. }) => {
                format!("stackgan generate -m {folder} --data {} --rows 0-7", quoted(&data))
            }
            _ => format!("stackgan generate -m {folder} -p \"…\""),
        }],
        _ => Vec::new(),
    }
}

/// Number of bad steps that a run may leave out, as it was told.
fn left_out(run: &Path) -> u64 {
    match Record::read(run).and_then(|record| record.on_nonfinite) {
        Some(OnNonFinite::Rollback(steps)) => steps,
        Some(OnNonFinite::Stop) | None => 0,
    }
}

/// The bundle of the step at which a run failed with a non-finite value. If it were resumed
/// unchanged, it would take the same step again. A bundle of an earlier step belongs to a step that
/// the run has skipped.
fn ended_by(facts: &Facts) -> Option<PathBuf> {
    let (step, path) = RunFiles::of(&facts.path).last_bundle()?;
    (facts.state == State::Failed && step >= facts.step).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_settings_is_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let record = "{\"preset\":\"cub\",\"stage\":1,\"data\":null,\"encoder\":null,\"stage1\":null,\"sittings\":[],\"version\":\"0\",\"state\":\"failed\"}";
        std::fs::write(dir.path().join("run.json"), record).unwrap();
        assert!(next(&Facts::read(dir.path())).is_empty());
        std::fs::write(dir.path().join("config.toml"), "").unwrap();
        let typed = next(&Facts::read(dir.path()));
        assert!(typed[0].starts_with("stackgan train --stage 1 --run "), "{typed:?}");
        assert_eq!(typed.len(), 1);
    }

    #[test]
    fn commands_can_be_typed_as_they_are_printed() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("it's run 2");
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join("config.toml"), "").unwrap();
        std::fs::write(run.join("model.safetensors"), "").unwrap();
        let record = |more: &str| {
            format!(
                "{{\"preset\":\"cub\",\"stage\":1,\"data\":\"/my birds\",\"encoder\":null,\"stage1\":null,{more}\"sittings\":[],\"version\":\"0\",\"state\":\"done\"}}"
            )
        };
        std::fs::write(run.join("run.json"), record("")).unwrap();
        let plain = next(&Facts::read(&run));
        assert!(plain[0].contains(r"it'\''s run 2' -p"), "{plain:?}");
        // A model of imported embeddings reads no sentences.
        std::fs::write(run.join("run.json"), record("\"embeddings\":\"/e\",")).unwrap();
        let of_rows = next(&Facts::read(&run));
        assert!(of_rows[0].ends_with("--data '/my birds' --rows 0-7"), "{of_rows:?}");
    }

    #[test]
    fn a_run_that_ended_by_a_number_is_looked_at_before_it_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        // As an earlier version wrote it.
        let record = "{\"dataset\":\"toy\",\"stage\":1,\"data\":null,\"encoder\":null,\"stage1\":null,\"sittings\":[],\"version\":\"0\",\"state\":\"failed\"}";
        std::fs::write(dir.path().join("run.json"), record).unwrap();
        std::fs::write(dir.path().join("config.toml"), "").unwrap();
        std::fs::write(dir.path().join("stats.jsonl"), "{\"step\":25,\"seconds\":1}\n").unwrap();
        std::fs::write(dir.path().join("nonfinite-step-0000007.safetensors"), "").unwrap();
        assert_eq!(next(&Facts::read(dir.path())).len(), 1, "the run went back from that one");
        std::fs::write(dir.path().join("nonfinite-step-0000026.safetensors"), "").unwrap();
        let typed = next(&Facts::read(dir.path()));
        assert!(typed[0].starts_with("stackgan replay ") && typed[0].contains("step-0000026"));
        assert!(typed[1].ends_with(" --on-nonfinite rollback:3"), "{typed:?}");
    }
}
