//! Whether what a run makes can be written. It is asked before anything that takes long.

use std::path::Path;

use anyhow::Result;

use crate::exit::Problem;
use crate::output::{absolute, check_writable};
use crate::run::{RUNS, Record};

/// Checks that a run folder can be written: the given one, or a new one.
///
/// # Errors
/// Code 6.
pub(super) fn check_run(run: Option<&Path>) -> Result<()> {
    let what = "the run cannot be written";
    match run {
        Some(run) => {
            check(&Record::file(run), what, (format!("option: --run {}", run.display()), ""))
        }
        None => {
            let runs = absolute(Path::new(RUNS));
            let place = format!("folder: {}", runs.display());
            check(&Record::file(&runs.join("new")), what, (place, "; `--run DIR` names another"))
        }
    }
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
