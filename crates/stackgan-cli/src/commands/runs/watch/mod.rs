//! `stackgan runs watch`: a run while it goes on. A dashboard on a terminal, lines elsewhere.
//!
//! It reads `stats.jsonl` and asks for a stop by the file `STOP`, and so works from another terminal, for a run of another
//! session, and on a run that is over.

mod charts;
mod lines;
mod screen;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Facts;
use crate::report::{Terms, terms};

/// Watches a run until it is over or, on a terminal, until a key says so.
pub(super) fn run(path: &Path) -> Result<()> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let watched = Watched::open(path);
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !dumb {
        screen::run(watched)
    } else {
        lines::run(watched)
    }
}

/// A run folder that is looked at again and again.
struct Watched {
    path: PathBuf,
    terms: Terms,
    facts: Facts,
    length: u64, // of stats.jsonl, when it was read
}

impl Watched {
    fn open(path: &Path) -> Self {
        let terms = terms(&path.join("stats.jsonl"));
        let facts = Facts::with(path, &terms);
        Self { path: path.to_path_buf(), terms, facts, length: length(path) }
    }

    /// Looks again; the numbers are read only where there are others.
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
