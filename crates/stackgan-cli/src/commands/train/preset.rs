//! The preset of a run that was told none: that of its Stage-I; `toy` for birds that this program
//! drew; `photo` for other pictures.

use std::path::{Path, PathBuf};

use stackgan_core::Stage;
use stackgan_train::run_files::RunFiles;

use crate::args::Train;
use crate::datasets::is_toy;
use crate::run::{RUNS, Record, list};

/// The preset of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Its name: `toy`, `photo`, `cub`, …
    pub name: String,
    /// Why it is this one, unless it was typed or is the run's own.
    pub why: Option<String>,
}

impl Chosen {
    /// Chooses what was typed; else what the run was told before; else what suits the data.
    pub(super) fn of(args: &Train, kept: Option<&Record>) -> Self {
        let own = args.settings.preset().or(kept.map(|kept| &*kept.preset));
        if let Some(name) = own {
            return Self { name: name.to_owned(), why: None };
        }
        let (name, why) = match (below(args), &args.data) {
            (Some((run, record)), _) => (record.preset, format!("as {}", run.display())),
            (None, None) => ("toy".to_owned(), "without `--data`, it is toy birds".to_owned()),
            (None, Some(data)) if is_toy(data) => {
                ("toy".to_owned(), format!("{} holds toy birds", data.display()))
            }
            (None, Some(data)) => {
                let why =
                    format!("{} holds no toy birds; `--preset` names another", data.display());
                ("photo".to_owned(), why)
            }
        };
        Self { name, why: Some(why) }
    }

    /// What is said of a preset that nobody typed.
    pub(super) fn note(&self) -> Option<String> {
        self.why.as_ref().map(|why| format!("preset {}: {why}", self.name))
    }
}

/// The Stage-I run that Stage-II builds on, and its record.
fn below(args: &Train) -> Option<(PathBuf, Record)> {
    let run = match (args.stage, &args.stage1) {
        (Stage::One, _) => return None,
        (Stage::Two, Some(model)) => run_of(model)?.to_path_buf(),
        (Stage::Two, None) => newest_stage1(None, args.data.as_deref())?,
    };
    let record = Record::read(&run)?;
    Some((run, record))
}

/// The run folder of a model: the folder itself, or the one that the file is in.
pub(super) fn run_of(model: &Path) -> Option<&Path> {
    if model.is_dir() { Some(model) } else { model.parent() }
}

/// The newest finished Stage-I run, if there is one; of this preset and on these data, if they are
/// given.
pub(super) fn newest_stage1(preset: Option<&str>, data: Option<&Path>) -> Option<PathBuf> {
    let place = |path: &Path| std::fs::canonicalize(path).ok();
    let wanted = data.map(place); // that of data which are gone is none
    let same = |theirs: Option<&Path>| match &wanted {
        None => true,
        Some(wanted) => wanted.is_some() && theirs.and_then(place) == *wanted,
    };
    let finished = |run: &PathBuf| {
        let fits = Record::read(run).is_some_and(|r| {
            r.state == "done"
                && r.stage == Stage::One
                && preset.is_none_or(|preset| r.preset == preset)
                && same(r.data.as_deref())
        });
        fits && RunFiles::of(run).model().is_file()
    };
    list(Path::new(RUNS)).unwrap_or_default().into_iter().rev().find(finished)
}
