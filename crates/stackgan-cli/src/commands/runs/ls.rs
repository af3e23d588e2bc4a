//! `stackgan runs ls`: one line per run.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::facts::{Facts, State};
use crate::output::{Answer, Form};
use crate::progress::{Manner, duration};
use crate::report::number;
use crate::run::list;

/// Lists the runs of a folder, oldest first.
pub(super) fn run(folder: &Path, form: Form, manner: Manner) -> Result<()> {
    let runs = Listed(list(folder)?.iter().map(|path| Facts::read(path)).collect());
    if runs.0.is_empty() {
        manner.say(format!("no runs in {}: `stackgan train` begins one", folder.display()));
    }
    form.show(&runs)
}

/// Runs, oldest first.
#[derive(Serialize)]
struct Listed(Vec<Facts>);

impl Answer for Listed {
    fn lines(&self) -> Vec<String> {
        let Self(runs) = self;
        let Some(width) = runs.iter().map(|run| run.run.len()).max() else { return Vec::new() };
        let width = width.max(3);
        let head = format!(
            "{:width$}  {:11}  {:>15}  {:>8}  {:>7}  {:>20}",
            "run", "state", "step", "pic/s", "left", "D real/wrong/fake"
        );
        let rows = runs.iter().map(|run| line(run, width).trim_end().to_owned());
        [head].into_iter().chain(rows).collect()
    }
}

fn line(facts: &Facts, width: usize) -> String {
    let step = match facts.steps {
        Some(steps) => format!("{}/{steps}", facts.step),
        None => facts.step.to_string(),
    };
    let speed = facts.steps_a_second.zip(facts.batch);
    let speed = speed.map_or_else(String::new, |(steps, batch)| number(steps * batch as f64));
    let left = facts.seconds_left.filter(|_| facts.state == State::Running);
    let left = left.map_or_else(String::new, duration);
    // `data.wrong = "none"` has no wrong pairs.
    let probability = |name| facts.last.get(name).map_or("-".to_owned(), |p| format!("{p:.2}"));
    let seen = ["p_real", "p_wrong", "p_fake"].map(probability);
    let seen = if seen.iter().all(|p| p == "-") { String::new() } else { seen.join(" ") };
    let state = facts.state.word();
    format!("{:width$}  {state:11}  {step:>15}  {speed:>8}  {left:>7}  {seen:>20}", facts.run)
}
