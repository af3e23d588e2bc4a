//! `stackgan runs watch`: displays a run while it trains, as a dashboard on a terminal, as lines
//! elsewhere.
//!
//! It reads `stats.jsonl` and requests a stop with the file `STOP`. So it works from another
//! terminal, for a run of another session, and for a finished run.

mod charts;
mod lines;
mod screen;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Facts;
use crate::report::{Terms, terms};

/// Watches a run until it ends or, on a terminal, until a key is pressed.
pub(super) fn run(path: &Path) -> Result<()> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let watched = Watched::open(path);
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !dumb {
        screen::run(watched)
    } else {
        lines::run(watched)
    }
}

/// A run folder that is read repeatedly.
struct Watched {
    path: PathBuf,
    terms: Terms,
    facts: Facts,
    length: u64, // of stats.jsonl when it was read
}

impl Watched {
    fn open(path: &Path) -> Self {
        let terms = terms(&path.join("stats.jsonl"));
        let facts = Facts::with(path, &terms);
        Self { path: path.to_path_buf(), terms, facts, length: length(path) }
    }

    /// Updates the facts; the values are read only if there are new ones.
    fn refresh(&mut self) {
        let now = length(&self.path);
        if now != self.length {
            self.terms = terms(&self.path.join("stats.jsonl"));
            self.length = now;
        }
        self.facts = Facts::with(&self.path, &self.terms);
    }

    /// The points of a term.
    fn points(&self, name: &str) -> &[(f64, f64)] {
        self.terms.get(name).map_or(&[], Vec::as_slice)
    }
}

fn length(path: &Path) -> u64 {
    path.join("stats.jsonl").metadata().map_or(0, |facts| facts.len())
}
