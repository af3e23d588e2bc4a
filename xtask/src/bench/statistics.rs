//! Median and spread of a few values from a noisy machine.

use anyhow::{Result, bail};

/// A summary of the runs of one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Median, minimum and maximum of at least one value.
pub(crate) fn summary(values: &[f64]) -> Result<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
        bail!("nothing was measured");
    };
    let half = sorted.len() / 2;
    let upper = sorted.get(half).copied().unwrap_or(most);
    let lower = sorted.get((sorted.len() - 1) / 2).copied().unwrap_or(least);
    Ok(Summary { median: f64::midpoint(lower, upper), least, most })
}

/// Ours relative to theirs: the ratio of the medians, and the minimum and maximum of the ratios of
/// adjacent runs.
pub(crate) fn ratio(ours: &[f64], theirs: &[f64]) -> Result<Summary> {
    let pairs: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    let median = summary(ours)?.median / summary(theirs)?.median;
    Ok(Summary { median, ..summary(&pairs)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts_in_any_order() -> Result<()> {
        assert_eq!(summary(&[3.0, 1.0, 2.0])?, Summary { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(summary(&[4.0, 1.0, 2.0, 9.0])?.median, 3.0);
        assert_eq!(summary(&[7.0])?, Summary { median: 7.0, least: 7.0, most: 7.0 });
        assert!(summary(&[]).is_err());
        Ok(())
    }

    #[test]
    fn one_disturbed_run_widens_the_range_and_leaves_the_ratio() -> Result<()> {
        let found = ratio(&[1.0, 1.0, 8.0], &[2.0, 2.0, 2.0])?;
        assert_eq!(found, Summary { median: 0.5, least: 0.5, most: 4.0 });
        assert!(ratio(&[1.0], &[]).is_err());
        Ok(())
    }
}
