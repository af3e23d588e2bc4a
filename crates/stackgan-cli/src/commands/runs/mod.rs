//! `stackgan runs`: information from run folders on disk, during training and afterwards.

mod facts;
mod ls;
mod show;
mod watch;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::args;
use crate::exit::Problem;
use crate::progress::Manner;
use crate::run::{is_run, list};

/// Runs the subcommand.
pub(super) fn run(args: args::Runs, manner: Manner) -> Result<()> {
    match args {
        args::Runs::Ls { folder, json } => ls::run(&folder, json.into(), manner),
        args::Runs::Show { run, folder, json } => {
            show::run(&named(run.as_deref(), &folder)?, json.into())
        }
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

/// Whether a run is meant: `12` and `00012-toy-stage1` name the same run.
fn is_called(path: &Path, run: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let number = |name: &OsStr| name.to_str()?.split('-').next()?.parse::<u32>().ok();
    let asked = run.to_str().and_then(|text| text.parse::<u32>().ok());
    name == run.as_os_str() || asked.is_some_and(|asked| number(name) == Some(asked))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use stackgan_train::run_dir::RunDir;

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
        #[cfg(unix)]
        {
            let odd: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"r\xff");
            let odd = Path::new(odd);
            drop(RunDir::open(&root.path().join(odd)).unwrap());
            std::fs::write(root.path().join(odd).join("run.json"), "{}").unwrap();
            assert_eq!(named(Some(odd), root.path()).unwrap(), root.path().join(odd));
        }
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
        let names = || {
            let runs = list(root.path()).unwrap();
            runs.iter().map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(), ["00000-toy", "birds", "00001-toy", "last"]);
        assert!(named(Some(Path::new("birds")), root.path()).unwrap().ends_with("birds"));
        assert!(named(None, root.path()).unwrap().ends_with("last"));
        assert!(named(Some(Path::new("no-run")), root.path()).is_err());
        // A run whose record is lost stays; settings of another program make no run.
        std::fs::rename(root.path().join("birds/run.json"), root.path().join("birds/config.toml"))
            .unwrap();
        std::fs::create_dir(root.path().join(".cargo")).unwrap();
        std::fs::write(root.path().join(".cargo/config.toml"), "").unwrap();
        assert_eq!(names(), ["00000-toy", "birds", "00001-toy", "last"]);
        assert!(named(Some(Path::new("birds")), root.path()).unwrap().ends_with("birds"));
    }
}
