//! `stackgan runs`: the run folders, read as they are on disk, so that it works beside a training process and long after it.

mod facts;
mod ls;
mod show;
mod watch;

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_train::run_dir::RunDir;

use crate::args;
use crate::exit::Problem;
use facts::{Facts, State};

/// Does what was typed.
pub(super) fn run(args: args::Runs) -> Result<()> {
    match args {
        args::Runs::Ls { folder, json } => ls::run(&folder, json),
        args::Runs::Show { run, folder, json } => show::run(&named(run.as_deref(), &folder)?, json),
        args::Runs::Watch { run, folder } => watch::run(&named(run.as_deref(), &folder)?),
    }
}

/// The run folder that is meant: a path, a name or number under `folder`, or the newest there.
///
/// # Errors
/// Code 4 when there is none.
fn named(run: Option<&str>, folder: &Path) -> Result<PathBuf> {
    let runs = RunDir::list(folder)?;
    let found = match run {
        None => runs.last().cloned(),
        Some(run) if is_run(Path::new(run)) => Some(PathBuf::from(run)),
        Some(run) => runs.into_iter().find(|path| is_called(path, run)),
    };
    found.ok_or_else(|| {
        let place = match run {
            Some(run) => format!("run: {}", run.escape_debug()),
            None => format!("folder: {}", folder.display()),
        };
        let remedy = "list the runs with `stackgan runs ls`, or name a run folder by its path";
        Problem::missing("there is no such run", place, "a run folder", remedy).into()
    })
}

/// Whether a folder looks like that of a run.
fn is_run(path: &Path) -> bool {
    ["run.json", "config.toml", "stats.jsonl"].iter().any(|name| path.join(name).is_file())
}

/// `12` and `00012-toy-stage1` both name the run.
fn is_called(path: &Path, run: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = |text: &str| text.parse::<u32>().ok();
    name == run || number(run).is_some_and(|n| name.split('-').next().and_then(number) == Some(n))
}

/// A number as short as it can be read: four digits that count.
fn number(value: f64) -> String {
    let size = value.abs();
    let places = match size {
        _ if !value.is_finite() => return "-".to_owned(),
        0.0 => 0,
        _ if !(1e-3..1e6).contains(&size) => return format!("{value:.1e}"),
        _ => (3 - size.log10().floor() as i32).clamp(0, 4) as usize,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_path_name_number_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        for name in ["00002-toy-stage1", "00011-cub-stage1"] {
            drop(RunDir::open(&root.path().join(name)).unwrap());
        }
        let of = |run: Option<&str>| {
            let path = named(run, root.path())?;
            Ok::<String, anyhow::Error>(path.file_name().unwrap().to_string_lossy().into_owned())
        };
        assert_eq!(of(None).unwrap(), "00011-cub-stage1");
        assert_eq!(of(Some("2")).unwrap(), "00002-toy-stage1");
        assert_eq!(of(Some("00011-cub-stage1")).unwrap(), "00011-cub-stage1");
        let error = of(Some("7")).unwrap_err().to_string();
        assert!(error.contains("run: 7") && error.contains("do: "), "{error}");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 12.345_67, 1234.56, 2e-4, f64::NAN].map(number);
        assert_eq!(shown, ["0", "0.5000", "12.35", "1235", "2.0e-4", "-"]);
    }
}
