//! The ranges of settings.

use crate::{Error, Result};

/// Most pictures of a batch.
pub(crate) const LARGEST_BATCH: usize = 65_536;

/// The error of a setting that cannot be used.
pub(crate) fn invalid(key: &str, expected: &str, found: &str) -> Error {
    Error::Config {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy: format!("change `{key}` in the configuration, or give `--set {key}=…`"),
    }
}

/// Checks that a setting is from `low` to `high`.
pub(crate) fn within(key: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(key, &format!("{low} to {high}"), &value.to_string()))
}

/// Checks that a setting is from `low` to 1e12, more than any run needs.
pub(crate) fn at_least(key: &str, value: f64, low: f64) -> Result<()> {
    within(key, value, low, 1e12)
}
