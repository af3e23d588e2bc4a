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

/// The first characters of a text, escaped, with a sign where there are more.
pub(crate) fn beginning(text: &str, most: usize) -> String {
    let dots = if text.chars().nth(most).is_some() { "…" } else { "" };
    let kept: String = text.chars().take(most).collect();
    format!("{}{dots}", kept.escape_debug())
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
    fn a_beginning_is_short_and_holds_no_control_characters() {
        assert_eq!(beginning("a\n\u{1b}é", 4), "a\\n\\u{1b}é");
        assert_eq!(beginning("abc", 2), "ab…");
        assert_eq!(beginning(&"x".repeat(50_000), 260).chars().count(), 261);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["what", "–", "z"], ["a", "0.5", "1"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), ["what  –    z", "a     0.5  1"]);
    }
}
