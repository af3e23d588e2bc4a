//! The values of a run, from its `stats.jsonl`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

/// The values of a run: points (step, value) by name.
pub(crate) type Terms = BTreeMap<String, Vec<(f64, f64)>>;

/// Fields of `stats.jsonl` that are not terms.
const CLOCK: &[&str] = &["step", "epoch", "seconds", "since"];

/// Maximum length of a line of `stats.jsonl` in bytes.
const LONGEST: usize = 64 << 10;

/// The names of terms that are not in `known` and not fields of the clock.
pub(crate) fn others<'a>(terms: &'a Terms, known: &[&str]) -> Vec<&'a str> {
    let names = terms.keys().map(String::as_str);
    names.filter(|name| !known.contains(name) && !CLOCK.contains(name)).collect()
}

/// The values in `stats`. Lines that cannot be read are skipped.
pub(crate) fn terms(stats: &Path) -> Terms {
    let mut terms = Terms::new();
    let Ok(file) = std::fs::File::open(stats) else { return terms };
    for line in BufReader::new(file).lines().map_while(Result::ok).filter(|l| l.len() <= LONGEST) {
        let Ok(Value::Object(entry)) = serde_json::from_str(&line) else { continue };
        let Some(step) = entry.get("step").and_then(Value::as_f64) else { continue };
        collect(&entry, step, &mut terms);
    }
    terms
}

fn collect(entry: &Map<String, Value>, step: f64, terms: &mut Terms) {
    for (name, value) in entry {
        match value {
            Value::Object(below) => collect(below, step, terms),
            _ => {
                if let Some(value) = value.as_f64() {
                    terms.entry(name.clone()).or_default().push((step, value));
                }
            }
        }
    }
}
