//! The errors of this crate. Each has four parts: what; file and place; expected and found; what to
//! do.
//!
//! File names, keys and captions may be hostile text: everything that comes from a file is passed
//! through [`printable`] before it is shown.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate. `Display` prints the four parts on separate lines.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file is malformed, damaged or does not match another file. Exit code 3.
    #[error(
        "{what}\n  file: {} ({place})\n  expected {expected}, found {found}\n  do: {remedy}",
        shown(file)
    )]
    Malformed {
        /// What is wrong, in a few words.
        what: String,
        /// The file.
        file: PathBuf,
        /// The place in the file: byte, line, record or array.
        place: Box<str>,
        /// The expected content.
        expected: Box<str>,
        /// The content that was found.
        found: Box<str>,
        /// What the user can do.
        remedy: String,
    },
    /// A required file or folder does not exist. Exit code 4.
    #[error(
        "{what}\n  file: {}\n  expected {expected}, found nothing\n  do: {remedy}",
        shown(file)
    )]
    Missing {
        /// What is missing, in a few words.
        what: String,
        /// The path that was searched.
        file: PathBuf,
        /// What was expected there.
        expected: String,
        /// What the user can do.
        remedy: String,
    },
    /// The given options contradict each other or do not suit the data. Exit code 2.
    #[error("{what}\n  expected {expected}, found {found}\n  do: {remedy}")]
    Config {
        /// What is wrong.
        what: String,
        /// The valid values.
        expected: String,
        /// The given value.
        found: String,
        /// What the user can do.
        remedy: String,
    },
    /// The operating system could not read a file. Exit code 3.
    #[error(
        "cannot read\n  file: {}\n  {source}\n  do: check that the file exists, is readable and is whole",
        shown(file)
    )]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A server is unreachable, or does not provide what is needed. Exit code 4.
    #[error("{what}\n  address: {address}\n  expected {expected}, found {found}\n  do: {remedy}")]
    Unreachable {
        /// What could not be obtained, in a few words.
        what: Box<str>,
        /// The address.
        address: Box<str>,
        /// The expected response.
        expected: Box<str>,
        /// The actual response, or why there was none.
        found: Box<str>,
        /// What the user can do.
        remedy: String,
    },
    /// A folder cannot be used: it is full, or another program uses it. Exit code 6.
    #[error(
        "{what}\n  file: {}\n  expected {expected}, found {found}\n  do: {remedy}",
        shown(file)
    )]
    Storage {
        /// What is wrong, in a few words.
        what: Box<str>,
        /// The file or folder.
        file: PathBuf,
        /// The required state.
        expected: Box<str>,
        /// The actual state.
        found: Box<str>,
        /// What the user can do.
        remedy: String,
    },
    /// The operating system could not write a file. Exit code 6.
    #[error(
        "cannot write\n  file: {}\n  {source}\n  do: check the free space and the permissions of the folder",
        shown(file)
    )]
    Write {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// Wraps a failed read of `file`.
    #[must_use]
    pub fn read(file: &Path, source: std::io::Error) -> Self {
        Self::Read { file: file.to_path_buf(), source }
    }

    /// Wraps a failed write of `file`.
    #[must_use]
    pub fn write(file: &Path, source: std::io::Error) -> Self {
        Self::Write { file: file.to_path_buf(), source }
    }

    /// Creates an [`Error::Malformed`]; the parts are in the order in which they are printed.
    #[must_use]
    pub fn malformed(
        file: &Path,
        what: impl Into<String>,
        place: impl Into<Box<str>>,
        (expected, found): (impl Into<Box<str>>, impl Into<Box<str>>),
        remedy: impl Into<String>,
    ) -> Self {
        Self::Malformed {
            what: what.into(),
            file: file.to_path_buf(),
            place: place.into(),
            expected: expected.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    /// Creates an [`Error::Missing`]; the parts are in the order in which they are printed.
    pub(crate) fn missing(
        file: &Path,
        what: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Missing {
            what: what.into(),
            file: file.to_path_buf(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
    }

    /// The file that the error is about, if any.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Malformed { file, .. }
            | Self::Missing { file, .. }
            | Self::Storage { file, .. }
            | Self::Read { file, .. }
            | Self::Write { file, .. } => Some(file),
            Self::Config { .. } | Self::Unreachable { .. } => None,
        }
    }

    /// Combines the failures of `count` files in one error, which lists the first few. `what` gives
    /// their number. `faults` may be the first ones only.
    pub(crate) fn together(
        what: String,
        expected: &'static str,
        (faults, count): (&[Self], usize),
        remedy: &'static str,
    ) -> Self {
        let line = |fault: &Self| {
            format!("{}: {}", fault.file().map(shown).unwrap_or_default(), fault.reason())
        };
        let found = untrue(count, faults.iter().take(LISTED).map(line));
        let file = faults.first().and_then(Self::file).unwrap_or(Path::new(""));
        let place = if count == 1 { "the only one" } else { "the first of them" };
        Self::malformed(file, what, place, (expected, found), remedy)
    }

    /// What was found, in one line, for lists of many failures.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Malformed { what, found, .. } => format!("{what} (found {found})"),
            Self::Missing { what, expected, .. } => format!("{what}: {expected}"),
            Self::Config { what, found, .. } => format!("{what} ({found})"),
            Self::Unreachable { what, found, .. } | Self::Storage { what, found, .. } => {
                format!("{what} (found {found})")
            }
            Self::Read { source, .. } | Self::Write { source, .. } => source.to_string(),
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Malformed { remedy, .. }
            | Self::Missing { remedy, .. }
            | Self::Unreachable { remedy, .. }
            | Self::Storage { remedy, .. }
            | Self::Config { remedy, .. } => remedy.clone(),
            Self::Read { .. } => "check that the file exists, is readable and is whole".to_owned(),
            Self::Write { .. } => {
                "check the free space and the permissions of the folder".to_owned()
            }
        }
    }

    /// Creates an [`Error::Config`]; the parts are in the order in which they are printed.
    #[must_use]
    pub fn config(
        what: impl Into<String>,
        (expected, found): (impl Into<String>, impl Into<String>),
        remedy: impl Into<String>,
    ) -> Self {
        Self::Config {
            what: what.into(),
            expected: expected.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// Number of failures that are listed; further ones are only counted.
const LISTED: usize = 20;

/// What is found of `count` things that are not as expected, of which these lines tell the first.
pub(crate) fn untrue(count: usize, lines: impl ExactSizeIterator<Item = String>) -> String {
    let more = count.saturating_sub(lines.len());
    let more = (more > 0).then(|| format!("and {more} more"));
    let told: String = lines.chain(more).map(|line| format!("\n    {line}")).collect();
    format!("{count} of which this is not true:{told}")
}

/// A number with its noun: `1 file`, `2 files`, `2 classes`, `2 boxes`.
#[must_use]
pub fn counted<N: Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    let ending = match (n == N::from(1), noun.ends_with(['s', 'x'])) {
        (true, _) => "",
        (false, true) => "es",
        (false, false) => "s",
    };
    format!("{n} {noun}{ending}")
}

/// Makes text safe to show on a terminal: escapes control characters and those that reorder text,
/// and truncates to 200 characters.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = escaped(text.chars().take(200));
    out.extend(text.chars().nth(200).map(|_| '…'));
    out
}

fn escaped(text: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    for c in text {
        if hostile(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character moves a terminal's cursor, or reorders the text around it.
fn hostile(c: char) -> bool {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || reorders
}

/// The first few of many names, for an error that lists what is missing: `a, b, c and 17 more`.
#[must_use]
pub fn first_few<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(|n| printable(n.as_ref())).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Number and first few of many names, for a note; `None` of no names.
pub(crate) fn few_of<S: AsRef<str>>(names: &[S], noun: &str) -> Option<(String, String)> {
    (!names.is_empty()).then(|| (counted(names.len(), noun), first_few(names)))
}

/// Names as in a sentence: `a, b and c` if the last word is "and".
pub(crate) fn joined(names: &[String], word: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

/// A path as it is shown.
pub(crate) fn shown(path: &Path) -> String {
    // Not truncated as by `printable`, because a truncated path cannot be opened.
    escaped(path.display().to_string().chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31mred\u{202e}é"), "a\\u{1b}[31mred\\u{202e}é");
        assert_eq!(printable(&"x".repeat(300)).chars().count(), 201);
        let error = Error::Missing {
            what: "w".into(),
            file: PathBuf::from("a\nb\u{202e}\u{61c}é"),
            expected: "e".into(),
            remedy: "r".into(),
        };
        assert_eq!(
            error.to_string(),
            "w\n  file: a\\nb\\u{202e}\\u{61c}é\n  expected e, found nothing\n  do: r"
        );
    }

    #[test]
    fn long_lists_are_counted_not_printed() {
        let names: Vec<String> = (0..9).map(|i| i.to_string()).collect();
        assert_eq!(first_few(&names), "0, 1, 2, 3, 4 and 4 more");
        assert_eq!(first_few(&names[..2]), "0, 1");
        assert_eq!([counted(1, "file"), counted(0, "file")], ["1 file", "0 files"]);
        assert_eq!([counted(1u64, "class"), counted(2u64, "class")], ["1 class", "2 classes"]);
        assert_eq!([counted(1, "box"), counted(2, "box")], ["1 box", "2 boxes"]);
        let of = |n: usize| {
            let fault =
                |i| Error::read(Path::new(&format!("{i}.jpg")), std::io::Error::other("no"));
            let faults: Vec<Error> = (0..n).map(fault).collect();
            Error::together("w".into(), "e", (&faults, n), "r").to_string()
        };
        assert!(of(1).starts_with("w\n  file: 0.jpg (the only one)"), "{}", of(1));
        assert!(of(25).ends_with("    19.jpg: no\n    and 5 more\n  do: r"), "{}", of(25));
    }
}
