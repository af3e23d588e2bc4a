//! The values of a run, from its `stats.jsonl`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::Value;

/// The values of a run: points (step, value) by name.
pub(crate) type Terms = BTreeMap<String, Vec<(f64, f64)>>;

/// The values in `stats`. Lines that cannot be read are skipped.
pub(crate) fn terms(stats: &Path) -> Terms {
    let mut terms = Terms::new();
    let Ok(file) = std::fs::File::open(stats) else { return terms };
    for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
        let Ok(Value::Object(entry)) = serde_json::from_slice(&line) else { continue };
        let Some(step) = entry.get("step").and_then(Value::as_f64) else { continue };
        for (name, value) in entry {
            if let Some(value) = value.as_f64() {
                terms.entry(name).or_default().push((step, value));
            }
        }
    }
    terms
}
