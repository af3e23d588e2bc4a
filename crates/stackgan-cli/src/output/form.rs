//! The form in which a command prints its result.

/// Lines for a person, or JSON for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines.
    Lines,
    /// One JSON document.
    Json,
}

impl From<bool> for Form {
    /// From the flag `--json`.
    fn from(json: bool) -> Self {
        if json { Self::Json } else { Self::Lines }
    }
}
