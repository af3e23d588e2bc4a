//! `stackgan runs ls`: one line per run.

use std::path::Path;

use anyhow::Result;

use super::facts::{Facts, State};
use super::number::number;
use crate::output::{Form, print};
use crate::progress::{Manner, duration};
use crate::run::list;

/// Lists the runs of a folder, oldest first.
pub(super) fn run(folder: &Path, form: Form, manner: Manner) -> Result<()> {
    let runs: Vec<Facts> = list(folder)?.iter().map(|path| Facts::read(path)).collect();
    if form == Form::Json {
        return print(serde_json::to_string_pretty(&runs)?);
    }
    if runs.is_empty() {
        manner.say(format!("no runs in {}: `stackgan train` begins one", folder.display()));
        return Ok(());
    }
    let width = runs.iter().map(|facts| facts.run.len()).max().unwrap_or(0).max(3);
    print(format!(
        "{:width$}  {:11}  {:>15}  {:>8}  {:>7}  {:>20}",
        "run", "state", "step", "pic/s", "left", "D real/wrong/fake"
    ))?;
    runs.iter().try_for_each(|facts| print(line(facts, width).trim_end()))
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
