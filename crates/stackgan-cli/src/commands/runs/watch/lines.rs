//! Watching without a screen: one line per report, and one at the end.

use std::time::Duration;

use anyhow::Result;

use super::watched::Watched;
use crate::commands::runs::facts::{Facts, State};
use crate::output::print_to_reader;
use crate::progress::duration;
use crate::report::number;

/// Interval at which the folder is read.
const EVERY: Duration = Duration::from_secs(1);

/// The terms that are shown if a run has them.
const SHOWN: &[&str] = &[
    "d_loss", "g_loss", "matching", "kl", "p_real", "p_wrong", "p_fake", "sigma", "d_grad",
    "g_grad", "loading",
];

/// Prints until the run has ended.
pub(super) fn run(mut watched: Watched) -> Result<()> {
    let mut printed = 0;
    loop {
        // A run that went back reports its steps again.
        if watched.facts.reported != printed {
            printed = watched.facts.reported;
            print_to_reader(line(&watched.facts))?;
        }
        if watched.facts.state != State::Running {
            let facts = &watched.facts;
            let word = facts.state.word();
            return print_to_reader(format!("{}: {word} at step {}", facts.run, facts.step));
        }
        std::thread::sleep(EVERY);
        watched.refresh();
    }
}

fn line(facts: &Facts) -> String {
    let mut line = format!("step {}", facts.reported);
    if let Some(steps) = facts.steps {
        line += &format!("/{steps}");
    }
    for name in SHOWN {
        if let Some(value) = facts.last.get(*name).filter(|value| value.is_finite()) {
            line += &format!("  {name} {}", number(*value));
        }
    }
    if let Some(speed) = facts.steps_a_second {
        line += &format!("  {} steps/s", number(speed));
    }
    if let Some(left) = facts.seconds_left.filter(|_| facts.state == State::Running) {
        line += &format!("  {} left", duration(left));
    }
    line
}
