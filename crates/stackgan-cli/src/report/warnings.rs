//! The warnings of a run, stored in its folder (`warnings.jsonl`), so that those from before a
//! resumption are on the page too.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stackgan_train::run_dir::append;

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

    /// Appends new warnings to the file. Storage errors are reported by the checkpoint; those warnings are
    /// tried again with the next one.
    pub(super) fn keep(&mut self) {
        let new = self.all.get(self.kept..).unwrap_or_default();
        let lines: String = new
            .iter()
            .map(|(step, text)| format!("{}\n", json!({ "step": step, "text": text })))
            .collect();
        if lines.is_empty() || append(&self.file, &lines).is_ok() {
            self.kept = self.all.len();
        }
    }

    /// The last ones, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        let from = self.all.len().saturating_sub(MOST);
        let last = self.all.get(from..).unwrap_or_default();
        last.iter().map(|(step, text)| format!("step {step}: {text}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_and_a_full_disk_lose_no_warning() {
        let run = tempfile::tempdir().unwrap();
        let file = run.path().join("warnings.jsonl");
        std::fs::write(&file, "{\"step\":1,\"text\":\"a\"}\n{\"step\":2,\"te").unwrap();
        let mut warnings = Warnings::of(run.path());
        warnings.add(3, "b");
        warnings.keep();
        assert_eq!(Warnings::of(run.path()).lines(), ["step 1: a", "step 3: b"]);
        // A folder is in its place for a while.
        std::fs::rename(&file, run.path().join("aside")).unwrap();
        std::fs::create_dir(&file).unwrap();
        warnings.add(4, "c");
        warnings.keep();
        std::fs::remove_dir(&file).unwrap();
        std::fs::rename(run.path().join("aside"), &file).unwrap();
        warnings.add(5, "d");
        warnings.keep();
        let kept = Warnings::of(run.path()).lines();
        assert_eq!(kept, ["step 1: a", "step 3: b", "step 4: c", "step 5: d"]);
    }
}
