//! `stackgan runs show`: one run, its numbers and files, and what to do with it.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::facts::checkpoints;
use super::{Facts, State, number};
use crate::commands::print;
use crate::progress::duration;

/// Shows one run.
pub(super) fn run(path: &Path, json: bool) -> Result<()> {
    let (facts, checkpoints) = (Facts::read(path), checkpoints(path));
    if json {
        let mut document = serde_json::to_value(&facts)?;
        if let Value::Object(document) = &mut document {
            let list = |(step, bytes): &(u64, u64)| json!({ "step": step, "bytes": bytes });
            document.insert("checkpoints".to_owned(), checkpoints.iter().map(list).collect());
            document.insert("next".to_owned(), json!(next(&facts)));
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
    for (step, bytes) in &checkpoints {
        print(format!("checkpoint   step {step}, {:.1} MiB", *bytes as f64 / f64::from(1 << 20)))?;
    }
    for (name, value) in &facts.last {
        print(format!("{name:12} {}", number(*value)))?;
    }
    for file in ["report.html", "model.safetensors"] {
        if facts.path.join(file).is_file() {
            print(format!("file         {}", facts.path.join(file).display()))?;
        }
    }
    next(&facts).map_or(Ok(()), |next| print(format!("next         {next}")))
}

/// The command that one would type next. None for a run that ended before its settings were written: nobody knows them, and
/// the folder alone would begin another run.
fn next(facts: &Facts) -> Option<String> {
    let folder = facts.path.display();
    match (facts.state, facts.stage) {
        (State::Running, _) => Some(format!("stackgan runs watch {folder}")),
        (State::Stopped | State::Failed | State::Interrupted, Some(stage))
            if facts.path.join("config.toml").is_file() =>
        {
            Some(format!("stackgan train --stage {stage} --run {folder}"))
        }
        (State::Done, _) if facts.model => Some(format!("stackgan generate -m {folder} -p \"…\"")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_settings_is_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let record = "{\"dataset\":\"cub\",\"stage\":1,\"data\":null,\"encoder\":null,\"stage1\":null,\"version\":\"0\",\"state\":\"failed\"}";
        std::fs::write(dir.path().join("run.json"), record).unwrap();
        assert_eq!(next(&Facts::read(dir.path())), None);
        std::fs::write(dir.path().join("config.toml"), "").unwrap();
        let typed = next(&Facts::read(dir.path())).unwrap();
        assert!(typed.starts_with("stackgan train --stage 1 --run "), "{typed}");
    }
}
