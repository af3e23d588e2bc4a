//! Whether what a run makes can be written. It is asked before anything that takes long.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::exit::Problem;
use crate::output::{absolute, check_writable, part_of_a_dataset};
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

/// Refuses a folder of something else that would be mixed with a run: with pictures, captions or tables of
/// them, or with folders that are not empty. Logs may be there.
fn check_free(run: &Path) -> Result<()> {
    if is_run(run) {
        return Ok(());
    }
    let entries = run.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let is_hidden = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    let is_other = |path: &PathBuf| match path.read_dir() {
        Ok(mut inside) => !is_hidden(path) && inside.next().is_some(),
        Err(_) => part_of_a_dataset(path).is_some(),
    };
    let mut others = entries.filter(is_other);
    let Some(other) = others.next() else { return Ok(()) };
    let name = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let place = format!("option: --run {}", run.display());
    let found = format!("`{}` in it", name.escape_debug());
    let parts = ("a new folder, or that of a run".to_owned(), found);
    let remedy = "name another folder, such as a new one in this";
    Err(Problem::usage("the folder holds something else", place, parts, remedy).into())
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
