//! How progress is displayed.

use std::io::{IsTerminal as _, Write as _};

/// How progress is displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A bar that is redrawn.
    Bar,
    /// Occasional lines.
    Lines,
    /// Only errors.
    Quiet,
}

impl Manner {
    /// The manner that suits stderr.
    pub(crate) fn here(quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match (quiet, std::io::stderr().is_terminal() && !dumb) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }

    /// Prints one line for the user.
    pub(crate) fn say(self, line: impl AsRef<str>) {
        if self != Self::Quiet {
            // A closed stderr must not end the work.
            let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
        }
    }
}
