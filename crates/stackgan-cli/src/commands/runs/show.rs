//! `stackgan runs show`: one run with its values and files, and the next command.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::facts::{Facts, State};
use super::number::number;
use crate::output::{Form, print, quoted};
use crate::progress::duration;
use crate::report::{Measurement, Measurements};
use crate::run::{Record, checkpoints};

/// Prints one run.
pub(super) fn run(path: &Path, form: Form) -> Result<()> {
    let (facts, checkpoints) = (Facts::read(path), checkpoints(path));
    let measurements = Measurements::read(path);
    if form == Form::Json {
        let mut document = serde_json::to_value(&facts)?;
        if let Value::Object(document) = &mut document {
            let list = |(step, bytes): &(u64, u64)| json!({ "step": step, "bytes": bytes });
            document.insert("checkpoints".to_owned(), checkpoints.iter().map(list).collect());
            let mut next = next(&facts).into_iter();
            document.insert("next".to_owned(), json!(next.next()));
            document.insert("or".to_owned(), json!(next.next()));
            let measured = |one: Option<&Measurement>| json!(one.map(Measurement::numbers));
            document.insert("measured".to_owned(), measured(measurements.newest()));
            document.insert("best".to_owned(), measured(measurements.best()));
        }
        return print(serde_json::to_string_pretty(&document)?);
    }
    print(format!("run          {}", facts.path.display()))?;
    print(format!("state        {}", facts.state.word()))?;
    let of = facts.steps.map_or_else(String::new, |steps| format!(" of {steps}"));
    print(format!("step         {}{of}, epoch {}", facts.step, facts.epoch))?;
    if let Some(speed) = facts.steps_a_second {
        let pictures = facts.batch.map_or_else(String::new, |batch| {
            format!(", {} pictures a second", number(speed * batch as f64))
        });
        print(format!("speed        {} steps a second{pictures}", number(speed)))?;
    }
    if let Some(left) = facts.seconds_left.filter(|_| facts.state == State::Running) {
        print(format!("left         {}", duration(left)))?;
    }
    for sitting in &facts.sittings {
        print(format!("trained      {}", sitting.line()))?;
    }
    for (step, bytes) in &checkpoints {
        print(format!("checkpoint   step {step}, {:.1} MiB", *bytes as f64 / f64::from(1 << 20)))?;
    }
    for (name, value) in &facts.last {
        print(format!("{name:12} {}", number(*value)))?;
    }
    if let Some(newest) = measurements.newest() {
        print(format!("measured     step {}: {}", newest.step, newest.line()))?;
    }
    if let Some(best) = measurements.best() {
        print(format!("best         step {}: {}", best.step, best.verdict()))?;
    }
    for file in ["report.html", "model.safetensors", "best.safetensors"] {
        if facts.path.join(file).is_file() {
            print(format!("file         {}", facts.path.join(file).display()))?;
        }
    }
    next(&facts).iter().try_for_each(|next| print(format!("next         {next}")))
}

/// The next commands: one, or for a run that ended with a non-finite value what to look at first.
/// None for a run that ended before its settings were written, because resuming in the folder would
/// start a different run.
fn next(facts: &Facts) -> Vec<String> {
    let folder = quoted(&facts.path);
    match (facts.state, facts.stage) {
        (State::Running, _) => vec![format!("stackgan runs watch {folder}")],
        (State::Stopped | State::Failed | State::Interrupted, Some(stage))
            if facts.path.join("config.toml").is_file() =>
        {
            let go_on = format!("stackgan train --stage {stage} --run {folder}");
            match ended_by(facts) {
                Some(step) => vec![
                    format!("stackgan replay {}", quoted(&step)),
                    format!("{go_on} --on-nonfinite rollback:3"),
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

/// The bundle of the step at which a run failed with a non-finite value. If it were resumed
/// unchanged, it would take the same step again. A bundle of an earlier step belongs to a step that
/// the run has skipped.
fn ended_by(facts: &Facts) -> Option<PathBuf> {
    let files = facts.path.read_dir().ok()?.flatten().map(|entry| entry.path());
    let of = |path: PathBuf| {
        let step = path.file_name()?.to_str()?.strip_prefix("nonfinite-step-")?;
        Some((step.strip_suffix(".safetensors")?.parse::<u64>().ok()?, path))
    };
    let (step, path) = files.filter_map(of).max()?;
    (facts.state == State::Failed && step >= facts.step).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_settings_is_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let record = "{\"dataset\":\"cub\",\"stage\":1,\"data\":null,\"encoder\":null,\"stage1\":null,\"version\":\"0\",\"state\":\"failed\"}";
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
                "{{\"dataset\":\"cub\",\"stage\":1,\"data\":\"/my birds\",\"encoder\":null,\"stage1\":null,{more}\"version\":\"0\",\"state\":\"done\"}}"
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
        let record = "{\"dataset\":\"toy\",\"stage\":1,\"data\":null,\"encoder\":null,\"stage1\":null,\"version\":\"0\",\"state\":\"failed\"}";
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
