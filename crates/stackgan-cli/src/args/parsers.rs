//! The parsers of what several commands take: sentences, and numbers that must be above 0.

use clap::builder::{StringValueParser, TypedValueParser};

/// Most hours of a run: more than a year.
const MOST_HOURS: f64 = 10_000.0;

/// Removes the space around a sentence, as around a line of `--captions`: an encoder would read it,
/// and nobody would see why the picture is another.
pub(super) fn sentence() -> impl TypedValueParser<Value = String> {
    StringValueParser::new().map(|text| text.trim().to_owned())
}

/// Parses a finite number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 => Ok(n),
        _ => Err("expected a number above 0".to_owned()),
    }
}

/// Parses the hours of a run.
pub(super) fn hours(text: &str) -> Result<f64, String> {
    let expected =
        || format!("expected a number of hours above 0, such as 2.5, and at most {MOST_HOURS}");
    positive(text).ok().filter(|hours| *hours <= MOST_HOURS).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_finite_and_above_nothing() {
        assert_eq!([hours("2.5"), hours("1e4")], [Ok(2.5), Ok(1e4)]);
        for text in ["0", "-1", "nan", "inf", "1e5", "2h", ""] {
            assert!(hours(text).unwrap_err().contains("such as 2.5"), "{text}");
        }
    }
}
