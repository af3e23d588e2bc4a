//! Whether what a run makes can be written. It is asked before anything that takes long.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_train::run_files::RunFiles;

use crate::exit::Problem;
use crate::output::{absolute, check_writable};
use crate::run::{RUNS, Record, is_run};

/// Checks that a run folder can be written: the given one, or a new one.
///
/// # Errors
/// Code 2 for a folder with something other than a run in it, 6 if it cannot be written.
pub(super) fn check_run(run: Option<&Path>) -> Result<()> {
    let what = "the run cannot be written";
    match run {
        Some(run) => {
            check_free(run)?;
            check(&Record::file(run), what, (format!("option: --run {}", run.display()), ""))
        }
        None => {
            let runs = absolute(Path::new(RUNS));
            let place = format!("folder: {}", runs.display());
            check(&Record::file(&runs.join("new")), what, (place, "; `--run DIR` names another"))
        }
    }
}

/// Refuses a folder of something else, such as pictures, which would be mixed with those of the run. A
/// run that has not begun yet has only folders in it, a lock and a record.
fn check_free(run: &Path) -> Result<()> {
    let entries = run.read_dir().into_iter().flatten().flatten();
    let files = RunFiles::of(run);
    let of_a_run = [files.samples(), files.checkpoints(), files.lock(), files.stop()];
    let is_other = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        !hidden && !of_a_run.contains(path)
    };
    let mut others = entries.map(|entry| entry.path()).filter(is_other);
    let Some(other) = others.next().filter(|_| !is_run(run)) else { return Ok(()) };
    let name = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let place = format!("option: --run {}", run.display());
    let parts = ("a new or empty folder, or that of a run".to_owned(), format!("one with {name}"));
    let remedy = "name another folder";
    Err(Problem::usage("the folder is not empty", place, parts, remedy).into())
}

/// Checks that a file can be written that is made of the data. It lies in the program's own folder if the data cannot be written.
///
/// # Errors
/// Code 6.
pub(super) fn check_made(file: &Path) -> Result<()> {
    let file = absolute(file);
    let place = format!("file: {}", file.display());
    let way = "; `STACKGAN_HOME` names another for what is made of data";
    check(&file, "what is made of the data cannot be written", (place, way))
}

/// Checks that a file can be written; `way` is added to what the user can do.
fn check(file: &Path, what: &str, (place, way): (String, &str)) -> Result<()> {
    check_writable(file).map_err(|error| match error.downcast::<Problem>() {
        Ok(problem) => {
            let remedy = problem.remedy + way;
            Problem { what: what.to_owned(), place, remedy, ..problem }.into()
        }
        Err(other) => other,
    })
}
