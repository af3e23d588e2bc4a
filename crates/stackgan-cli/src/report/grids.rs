//! The grids of a run over time, for a page.

use stackgan_train::run_files::RunFiles;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::embedded::{Embedded, Form};

/// Maximum number of grids that are embedded in a page.
const MOST_GRIDS: usize = 24;

/// Maximum size of an embedded PNG file in bytes.
const LARGEST: u64 = 32 << 20;

/// Maximum number of grids for which all are embedded in full quality.
const FEW_GRIDS: usize = 4;

/// The grids of a run in embedded form, cached so that each is read and reduced only once.
#[derive(Default)]
pub(crate) struct Grids {
    made: BTreeMap<(u64, Form), Embedded>,
}

impl Grids {
    /// The grids in a run folder, oldest first, each with a label, thinned evenly to what a page
    /// holds. Grids after `step` are left out, because the run went back from there.
    pub(crate) fn of(&mut self, run: &Path, step: Option<u64>) -> Vec<(String, Embedded)> {
        let Ok(folder) = std::fs::read_dir(RunFiles::of(run).samples()) else { return Vec::new() };
        let mut files: Vec<(u64, PathBuf)> = folder
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "png"))
            .filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path)))
            .filter(|(painted, _)| step.is_none_or(|step| *painted <= step))
            .collect();
        files.sort();
        let last = files.len().saturating_sub(1);
        let kept = files.len().min(MOST_GRIDS);
        let chosen = (0..kept).map(|i| if kept > 1 { i * last / (kept - 1) } else { 0 });
        let form = |i: usize| if kept > FEW_GRIDS && i < last { Form::Small } else { Form::Sharp };
        let chosen: Vec<_> = chosen
            .filter_map(|i| files.get(i).map(|(step, path)| ((*step, form(i)), path)))
            .collect();
        self.made.retain(|made, _| chosen.iter().any(|(key, _)| key == made));
        let shown = |(key, path): &((u64, Form), &PathBuf)| {
            Some((format!("step {}", key.0), self.embedded(*key, path)?))
        };
        chosen.iter().filter_map(shown).collect()
    }

    fn embedded(&mut self, key: (u64, Form), path: &Path) -> Option<Embedded> {
        if let Some(made) = self.made.get(&key) {
            return Some(made.clone());
        }
        path.metadata().ok().filter(|facts| facts.len() <= LARGEST)?;
        let embedded = Embedded::of(&std::fs::read(path).ok()?, key.1);
        self.made.insert(key, embedded.clone());
        Some(embedded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(steps: u64) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        std::fs::create_dir(run.path().join("samples")).unwrap();
        for step in 1..=steps {
            std::fs::write(run.path().join(format!("samples/{step:06}.png")), "png").unwrap();
        }
        run
    }

    #[test]
    fn grids_are_thinned_evenly_and_keep_first_and_last() {
        let (run, mut grids) = (run_of(100), Grids::default());
        let labels: Vec<String> =
            grids.of(run.path(), None).into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels.len(), MOST_GRIDS);
        assert_eq!((labels[0].as_str(), labels[23].as_str()), ("step 1", "step 100"));
        std::fs::remove_file(run.path().join("samples/000100.png")).unwrap();
        assert_eq!(grids.of(run.path(), None).last().unwrap().0, "step 99");
    }

    #[test]
    fn a_future_that_the_run_went_back_from_is_not_shown() {
        let (run, mut grids) = (run_of(6), Grids::default());
        assert_eq!(grids.of(run.path(), Some(6)).len(), 6);
        assert_eq!(grids.of(run.path(), Some(3)).last().unwrap().0, "step 3");
        assert!(grids.of(run.path(), Some(0)).is_empty());
    }
}
