//! The parsers of what several commands take: sentences, and numbers within bounds.

use clap::builder::{StringValueParser, TypedValueParser};
use stackgan_core::generator_noise::LARGEST_SCALE;

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

/// Parses the scale of a noise.
pub(super) fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.0..=LARGEST_SCALE).contains(&scale) => Ok(scale),
        _ => Err(format!("expected a number from 0 to {LARGEST_SCALE}")),
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

    #[test]
    fn scales_are_from_nothing_to_the_largest() {
        assert_eq!([scale("0"), scale("0.7"), scale("4")], [Ok(0.0), Ok(0.7), Ok(4.0)]);
        for text in ["-0.1", "4.1", "nan", "inf", "one", ""] {
            assert_eq!(scale(text), Err("expected a number from 0 to 4".to_owned()), "{text}");
        }
    }
}
