//! A run folder that is read while a process may train in it.

use std::path::Path;

use stackgan_train::run_files::RunFiles;

use crate::commands::runs::facts::Facts;
use crate::run::{Terms, terms};

/// A run folder that is read repeatedly.
pub(super) struct Watched {
    pub terms: Terms,
    pub facts: Facts,
    length: u64, // of stats.jsonl when it was read
}

impl Watched {
    pub(super) fn open(path: &Path) -> Self {
        let length = length(path); // before the values: what comes meanwhile is read next time
        let terms = terms(&RunFiles::of(path).stats());
        Self { facts: Facts::with(path, &terms), terms, length }
    }

    /// Updates the facts; the values are read only if there are new ones.
    pub(super) fn refresh(&mut self) {
        let (path, now) = (&self.facts.path, length(&self.facts.path));
        if now != self.length {
            self.terms = terms(&RunFiles::of(path).stats());
            self.length = now;
        }
        self.facts = Facts::with(path, &self.terms);
    }

    /// The points of a term.
    pub(super) fn points(&self, name: &str) -> &[(f64, f64)] {
        self.terms.get(name).map_or(&[], Vec::as_slice)
    }
}

fn length(path: &Path) -> u64 {
    RunFiles::of(path).stats().metadata().map_or(0, |facts| facts.len())
}
