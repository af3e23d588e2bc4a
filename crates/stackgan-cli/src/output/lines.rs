//! Results as lines on standard output.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Result;

use crate::exit::{Problem, is_broken_pipe};

/// Prints one line of results on stdout. If stdout is closed, the line is dropped, so that files
/// are still written and a server continues.
///
/// # Errors
/// [`Problem`] of the storage, if stdout is a file on it.
pub(crate) fn print(line: impl Display) -> Result<()> {
    match print_to_reader(line) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        told => told,
    }
}

/// The same for commands that only print: they end when stdout is closed.
///
/// # Errors
/// Also if stdout is closed, which `main` treats as success.
pub(crate) fn print_to_reader(line: impl Display) -> Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => error.into(), // the reader has gone
        _ => Problem::storage(Path::new("standard output"), &error).into(),
    })
}

/// A path as an argument of a command that is typed: in quotation marks if a shell would divide or
/// change it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,~".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Returns a path as text for JSON, with invalid UTF-8 replaced. `json!` panics at such a path.
pub(crate) fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Formats the rows of a table as lines, with columns as wide as their widest cell.
pub(crate) fn aligned<R: AsRef<[String]>>(rows: &[R]) -> Vec<String> {
    let mut widths = Vec::new();
    for row in rows {
        let cells = row.as_ref();
        widths.resize(widths.len().max(cells.len()), 0);
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &R| {
        let cells = row.as_ref().iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}  ")).collect::<String>();
        cells.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["what", "–", "z"], ["a", "0.5", "1"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), ["what  –    z", "a     0.5  1"]);
    }
}
