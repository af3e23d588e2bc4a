//! The warnings of a run, stored in its folder (`warnings.jsonl`), so that those from before a
//! resumption are on the page too.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Maximum number of warnings on a page: the last ones.
const MOST: usize = 24;

/// The warnings of a run.
pub(super) struct Warnings {
    file: PathBuf,
    /// Steps and texts.
    all: Vec<(u64, String)>,
    /// Number of them that are in the file.
    kept: usize,
}

impl Warnings {
    /// Reads the warnings in a run's folder.
    pub(super) fn of(run: &Path) -> Self {
        let file = run.join("warnings.jsonl");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            Some((line["step"].as_u64()?, line["text"].as_str()?.to_owned()))
        };
        let all: Vec<_> = text.lines().filter_map(line).collect();
        Self { file, kept: all.len(), all }
    }

    pub(super) fn add(&mut self, step: u64, text: &str) {
        self.all.push((step, text.to_owned()));
    }

    /// Appends new warnings to the file. Storage errors are reported by the checkpoint.
    pub(super) fn keep(&mut self) {
        let new = self.all.get(self.kept..).unwrap_or_default();
        let lines: String = new
            .iter()
            .map(|(step, text)| format!("{}\n", json!({ "step": step, "text": text })))
            .collect();
        if !lines.is_empty() {
            let file = OpenOptions::new().create(true).append(true).open(&self.file);
            drop(file.and_then(|mut file| file.write_all(lines.as_bytes())));
        }
        self.kept = self.all.len();
    }

    /// The last ones, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        let from = self.all.len().saturating_sub(MOST);
        let last = self.all.get(from..).unwrap_or_default();
        last.iter().map(|(step, text)| format!("step {step}: {text}")).collect()
    }
}
