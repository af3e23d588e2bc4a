//! The form in which a command answers: the answer is computed first, then shown, as lines for a
//! person or as JSON for a program (docs/scripting.md).

use anyhow::Result;
use serde::Serialize;

use super::lines::print;

/// Lines for a person, or JSON for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines.
    Lines,
    /// JSON.
    Json,
}

impl From<bool> for Form {
    /// From the flag `--json`.
    fn from(json: bool) -> Self {
        if json { Self::Json } else { Self::Lines }
    }
}

/// What a command answers. The names of its fields are JSON's, a public interface.
pub(crate) trait Answer: Serialize {
    /// The lines for a person.
    fn lines(&self) -> Vec<String>;
}

impl Form {
    /// Prints the answer of a command: its lines, or one JSON document.
    ///
    /// # Errors
    /// As [`print()`].
    pub(crate) fn show(self, answer: &impl Answer) -> Result<()> {
        match self {
            Self::Lines => answer.lines().iter().try_for_each(print),
            Self::Json => print(serde_json::to_string_pretty(answer)?),
        }
    }

    /// Prints one of the answers of a command that gives several: its lines, or one line of JSON.
    ///
    /// # Errors
    /// As [`print()`].
    pub(crate) fn show_one(self, answer: &impl Answer) -> Result<()> {
        match self {
            Self::Lines => self.show(answer),
            Self::Json => print(serde_json::to_string(answer)?),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_number_that_json_lacks_is_null() {
        let values = [f64::NAN, f64::INFINITY, 0.5];
        assert_eq!(serde_json::to_string(&values).unwrap(), "[null,null,0.5]");
    }
}
