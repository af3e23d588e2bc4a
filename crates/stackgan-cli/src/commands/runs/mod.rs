//! `stackgan runs`: information from run folders on disk, during training and afterwards.

mod facts;
mod ls;
mod show;
mod watch;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use stackgan_train::run_dir::RunDir;

use crate::args;
use crate::exit::Problem;
use crate::progress::Manner;
use facts::{Facts, State};

/// Runs the subcommand.
pub(super) fn run(args: args::Runs, manner: Manner) -> Result<()> {
    match args {
        args::Runs::Ls { folder, json } => ls::run(&folder, json, manner),
        args::Runs::Show { run, folder, json } => show::run(&named(run.as_deref(), &folder)?, json),
        args::Runs::Watch { run, folder } => watch::run(&named(run.as_deref(), &folder)?),
    }
}

/// Finds a run folder: a path, a name or number under `folder`, or the newest there.
///
/// # Errors
/// Code 4 when there is none.
fn named(run: Option<&Path>, folder: &Path) -> Result<PathBuf> {
    let runs = list(folder)?;
    let found = match run {
        None => runs.last().cloned(),
        Some(run) if is_run(run) => Some(run.to_path_buf()),
        Some(run) => runs.into_iter().find(|path| is_called(path, run)),
    };
    found.ok_or_else(|| {
        let place = match run {
            Some(run) => format!("run: {}", run.to_string_lossy().escape_debug()),
            None => format!("folder: {}", folder.display()),
        };
        let remedy = "list the runs with `stackgan runs ls`, or name a run folder by its path";
        Problem::missing("there is no such run", place, "a run folder", remedy).into()
    })
}

/// The run folders under `folder`, oldest first. A folder that `--run` named comes after the last
/// numbered one that was started before it.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut runs = RunDir::list(folder)?;
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let with_name = entries.filter(|path| path.join("run.json").is_file() && !runs.contains(path));
    let mut with_name: Vec<_> = with_name.map(|path| (begun(&path), path)).collect();
    with_name.sort();
    for (time, path) in with_name {
        let before = runs.iter().rposition(|run| begun(run) <= time);
        runs.insert(before.map_or(0, |place| place + 1), path);
    }
    Ok(runs)
}

/// The start time of a run: its lock is created then and never written to.
fn begun(run: &Path) -> Option<SystemTime> {
    run.join("LOCK").metadata().and_then(|lock| lock.modified()).ok()
}

/// Whether a folder looks like a run folder.
pub(super) fn is_run(path: &Path) -> bool {
    ["run.json", "config.toml", "stats.jsonl"].iter().any(|name| path.join(name).is_file())
}

/// Whether a run is meant: `12` and `00012-toy-stage1` name the same run.
fn is_called(path: &Path, run: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let number = |name: &OsStr| name.to_str()?.split('-').next()?.parse::<u32>().ok();
    let asked = run.to_str().and_then(|text| text.parse::<u32>().ok());
    name == run.as_os_str() || asked.is_some_and(|asked| number(name) == Some(asked))
}

/// A number with at most four significant digits.
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
    use std::os::unix::ffi::OsStrExt as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn runs_are_named_by_path_name_number_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        for name in ["00002-toy-stage1", "00011-cub-stage1"] {
            drop(RunDir::open(&root.path().join(name)).unwrap());
        }
        let of = |run: Option<&str>| {
            let path = named(run.map(Path::new), root.path())?;
            Ok::<String, anyhow::Error>(path.file_name().unwrap().to_string_lossy().into_owned())
        };
        assert_eq!(of(None).unwrap(), "00011-cub-stage1");
        assert_eq!(of(Some("2")).unwrap(), "00002-toy-stage1");
        assert_eq!(of(Some("00011-cub-stage1")).unwrap(), "00011-cub-stage1");
        let odd = Path::new(OsStr::from_bytes(b"r\xff"));
        drop(RunDir::open(&root.path().join(odd)).unwrap());
        std::fs::write(root.path().join(odd).join("run.json"), "{}").unwrap();
        assert_eq!(named(Some(odd), root.path()).unwrap(), root.path().join(odd));
        let error = of(Some("7")).unwrap_err().to_string();
        assert!(error.contains("run: 7") && error.contains("do: "), "{error}");
    }

    #[test]
    fn runs_that_were_given_a_name_are_listed_too() {
        let root = tempfile::tempdir().unwrap();
        let begin = |name: &str, seconds: u64| {
            drop(RunDir::open(&root.path().join(name)).unwrap());
            let lock = root.path().join(name).join("LOCK");
            let lock = std::fs::File::options().write(true).open(lock).unwrap();
            lock.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        for (name, seconds) in [("00000-toy", 10), ("birds", 15), ("00001-toy", 20), ("last", 30)] {
            begin(name, seconds);
        }
        begin("no-run", 40);
        for name in ["birds", "last", "00001-toy"] {
            std::fs::write(root.path().join(name).join("run.json"), "{}").unwrap();
        }
        let names: Vec<_> = list(root.path()).unwrap();
        let names: Vec<_> = names.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["00000-toy", "birds", "00001-toy", "last"]);
        assert!(named(Some(Path::new("birds")), root.path()).unwrap().ends_with("birds"));
        assert!(named(None, root.path()).unwrap().ends_with("last"));
        assert!(named(Some(Path::new("no-run")), root.path()).is_err());
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 12.345_67, 1234.56, 2e-4, f64::NAN].map(number);
        assert_eq!(shown, ["0", "0.5000", "12.35", "1235", "2.0e-4", "-"]);
    }
}
