//! `run.json`: the options of a run besides its settings, so that its folder is enough to resume
//! it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use stackgan_core::Stage;
use stackgan_train::policy::OnNonFinite;
use stackgan_train::run_dir::RunDir;
use stackgan_train::run_files::RunFiles;

use super::lasting::lasting;
use super::planned::Planned;
use super::sitting::Sitting;
use crate::args::{Evaluation, Train};
use crate::exit::Problem;
use crate::hub;
use crate::output::path_text;
use crate::version::VERSION;

/// The options of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The preset without its stage: `toy`, `photo`, `cub`, … Earlier versions called it `dataset`.
    #[serde(alias = "dataset")]
    pub preset: String,
    /// The stage.
    pub stage: Stage,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--encoder`.
    pub encoder: Option<PathBuf>,
    /// `--embeddings`, or those that were found beside the data.
    pub embeddings: Option<PathBuf>,
    /// `--features`.
    pub features: Option<PathBuf>,
    /// `--stage1`.
    pub stage1: Option<PathBuf>,
    /// `--init-from`.
    pub init_from: Option<PathBuf>,
    /// `--on-nonfinite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_nonfinite: Option<OnNonFinite>,
    /// `--eval-every` and what belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
    /// What `--hours` came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Planned>,
    /// The program's version.
    pub version: String,
    /// `running`, `done`, `stopped` or `failed`.
    pub state: String,
    /// Number of steps of the whole run.
    pub steps: Option<u64>,
    /// Each time that it was trained.
    pub sittings: Vec<Sitting>,
}

impl Record {
    /// Returns the typed options, for this preset. Missing ones are taken from the run's own record.
    pub(crate) fn of(args: &Train, kept: Option<Self>, preset: String) -> Self {
        let given = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| match hub::repository(path) {
                Some(_) => path.clone(),
                None => lasting(path),
            })
        };
        let of = |typed, from: fn(&Self) -> &Option<PathBuf>| {
            given(typed).or_else(|| kept.as_ref().and_then(|kept| from(kept).clone()))
        };
        // A run has either an encoder or imported embeddings.
        let retyped = args.encoder.is_some() || args.embeddings.is_some();
        let text = |typed, from| if retyped { given(typed) } else { of(typed, from) };
        Self {
            preset,
            stage: args.stage,
            data: of(&args.data, |kept| &kept.data),
            encoder: text(&args.encoder, |kept| &kept.encoder),
            embeddings: text(&args.embeddings, |kept| &kept.embeddings),
            features: of(&args.features, |kept| &kept.features),
            stage1: of(&args.stage1, |kept| &kept.stage1),
            init_from: of(&args.init_from, |kept| &kept.init_from),
            on_nonfinite: args.on_nonfinite.or_else(|| kept.as_ref()?.on_nonfinite),
            evaluation: match args.evaluation.eval_every {
                Some(0) => None,
                Some(_) => Some(placed(&args.evaluation)),
                None => kept.as_ref().and_then(|kept| kept.evaluation.clone()),
            },
            plan: kept.as_ref().and_then(|kept| kept.plan.clone()),
            version: VERSION.to_owned(),
            state: "running".to_owned(),
            steps: kept.as_ref().and_then(|kept| kept.steps),
            sittings: kept.map(|kept| kept.sittings).unwrap_or_default(),
        }
    }

    /// What the run was given, each with its option.
    fn paths(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        [
            ("--data", &self.data),
            ("--encoder", &self.encoder),
            ("--embeddings", &self.embeddings),
            ("--features", &self.features),
            ("--stage1", &self.stage1),
            ("--init-from", &self.init_from),
        ]
        .into_iter()
        .filter_map(|(option, path)| Some((option, path.as_deref()?)))
    }

    /// Checks that the paths can be recorded: `run.json` is text.
    ///
    /// # Errors
    /// Code 2 for a path that is not UTF-8.
    pub(crate) fn check_paths(&self) -> Result<()> {
        let odd = self.paths().find(|(_, path)| path.to_str().is_none());
        let Some((option, path)) = odd else { return Ok(()) };
        let parts = ("a path of UTF-8".to_owned(), format!("{path:?}"));
        let (what, remedy) = (
            "the path cannot be written into the run's record",
            "rename it, or give a link with another name",
        );
        Err(Problem::usage(what, format!("option: {option}"), parts, remedy).into())
    }

    /// Checks that what a run that goes on was given is still there.
    ///
    /// # Errors
    /// Code 4, with everything that is gone and the options that name the new places.
    pub(crate) fn check_there(&self, run: &Path) -> Result<()> {
        let kept = RunFiles::of(run).stage1().is_file();
        let read_once = |option: &str| option == "--init-from" || (kept && option == "--stage1");
        let needed = self.paths().filter(|(option, _)| !read_once(option));
        let gone = needed.filter(|(_, path)| !path.exists() && hub::repository(path).is_none());
        let gone = gone
            .map(|(option, path)| (format!("path: {}", path.display()), format!("{option} PATH")));
        let (places, options): (Vec<_>, Vec<_>) = gone.unzip();
        let moved = match options.len() {
            0 => return Ok(()),
            1 => "if it was moved, name its new place",
            _ => "if they were moved, name their new places",
        };
        let (place, remedy) = (places.join("\n  "), format!("{moved}: `{}`", options.join(" ")));
        let (what, expected) = ("what the run was given is gone", "what it began with");
        Err(Problem::missing(what, place, expected, remedy).into())
    }

    /// Checks that a resumed run is not given another preset, because it keeps its own settings.
    ///
    /// # Errors
    /// Code 2.
    pub(crate) fn check_preset(&self, args: &Train) -> Result<()> {
        match args.settings.preset().filter(|name| *name != self.preset) {
            None => Ok(()),
            Some(name) => {
                let parts = (format!("`{}`, as it began", self.preset), format!("`{name}`"));
                let remedy = "leave `--preset` out: a run that is gone on with keeps its settings; or name a new folder";
                let what = "the run is of another preset";
                Err(Problem::usage(what, "option: --preset", parts, remedy).into())
            }
        }
    }

    /// Checks that a resumed run is not given other weights to start from.
    ///
    /// # Errors
    /// Code 2.
    pub(crate) fn check_init_from(&self, args: &Train) -> Result<()> {
        let Some(typed) = args.init_from.as_deref() else { return Ok(()) };
        let kept = self.init_from.as_deref();
        if kept.is_some_and(|kept| kept == typed || kept == lasting(typed)) {
            return Ok(());
        }
        let place = format!("option: --init-from {}", typed.display());
        let found = kept.map_or_else(|| "none".to_owned(), |kept| kept.display().to_string());
        let parts = (format!("what the run started from: {found}"), "another name");
        let remedy = "leave `--init-from` out to go on; or name a new folder";
        Err(Problem::usage("the run has started already", place, parts, remedy).into())
    }

    /// Its file in a run folder.
    pub(crate) fn file(run: &Path) -> PathBuf {
        run.join("run.json")
    }

    /// Reads the record of a run folder, if there is a readable one.
    pub(crate) fn read(run: &Path) -> Option<Self> {
        Self::find(run).ok().flatten()
    }

    /// Reads the record of a run folder, if there is one.
    ///
    /// # Errors
    /// Code 3 if it cannot be read: without it a run would continue with other data.
    pub(crate) fn find(run: &Path) -> Result<Option<Self>> {
        if !run.is_dir() {
            return Ok(None);
        }
        let file = Self::file(run);
        let damaged = |found: String| {
            let remedy = "restore it from a copy; or remove it, and say what it named: `--data PATH`, with `--encoder FILE` or `--embeddings FILE`";
            let parts = ("the record of a run", found);
            anyhow::Error::from(Problem::data("the run's record is damaged", &file, parts, remedy))
        };
        match std::fs::read(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(damaged(e.to_string())),
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(record) => Ok(Some(record)),
                Err(e) => Err(damaged(e.to_string())),
            },
        }
    }

    /// Writes into a run folder that training begins now, after `step` steps.
    ///
    /// # Errors
    /// When the storage refuses.
    pub(crate) fn begin(&mut self, dir: &RunDir, step: u64, device: &Device) -> Result<()> {
        self.sittings.push(Sitting::begin(step, device));
        "running".clone_into(&mut self.state);
        self.write(dir)
    }

    /// Writes into a run folder that what has begun ends now, in this state; `step`: steps taken, if
    /// all of them are saved.
    ///
    /// # Errors
    /// When the storage refuses.
    pub(crate) fn end(
        &mut self,
        dir: &RunDir,
        state: &str,
        (step, how): (Option<u64>, &str),
    ) -> Result<()> {
        if let Some(sitting) = self.sittings.last_mut() {
            sitting.end(step, how);
        }
        state.clone_into(&mut self.state);
        self.write(dir)
    }

    fn write(&self, dir: &RunDir) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(dir.write(&Self::file(dir.path()), text.as_bytes())?)
    }
}

/// The measurements with paths that mean the same from any folder.
fn placed(typed: &Evaluation) -> Evaluation {
    let features = typed.eval_features.as_ref().map(|name| match Path::new(name) {
        file if file.is_file() => path_text(&lasting(file)),
        _ => name.clone(), // a network's
    });
    let eval_judge = typed.eval_judge.as_deref().map(lasting);
    Evaluation { eval_features: features, eval_judge, ..typed.clone() }
}
