//! The inception score: whether each picture clearly belongs to a class, and whether all pictures
//! together cover many classes.
//!
//! The score is `exp(E_x KL(p(y|x) || p(y)))` over each of the splits. It is computed from logits
//! by log-softmax, so a class of probability zero does not lead to `0 log 0`. It is accumulated
//! picture by picture, in memory that does not grow with their number.
//!
//! Source: Salimans et al., "Improved Techniques for Training GANs" (2016), section 4; references:
//! torch-fidelity, and StackGAN-inception-model (10 splits).
//!
//! Differs from the release: `inception_score.py` of StackGAN-inception-model shuffles the pictures
//! anew each time and measures whole batches of 64 of them, so it drops N mod 64 pictures, others
//! each time. Here all are measured in the order in which they come, so that the same pictures have
//! the same score.

use crate::bootstrap::{self, Interval};
use crate::rows::Rows;
use crate::{Error, Result};
use stackgan_core::noise::Noise;

/// Number of splits in the references.
pub const SPLITS: usize = 10;

/// Largest number of sums, of which each split has one for each class.
const MOST_SUMS: usize = 1 << 22;

/// A measured inception score.
#[derive(Clone, Debug, PartialEq)]
pub struct InceptionScore {
    /// The mean over the splits, from 1 to the number of classes.
    pub mean: f64,
    /// The standard deviation over the splits (divided by their number, as the references print
    /// it).
    pub std: f64,
    /// The score of each split.
    pub splits: Vec<f64>,
    /// Number of pictures.
    pub count: usize,
}

impl InceptionScore {
    /// Returns the 95 % interval of the mean over the splits.
    #[must_use]
    pub fn interval(&self, noise: Noise) -> Option<Interval> {
        bootstrap::of_mean(&self.splits, noise)
    }
}

/// Accumulates the score while logits arrive. The number of pictures must be known in advance,
/// because it determines the ends of the splits.
#[derive(Clone, Debug)]
pub struct Scoring {
    total: usize,
    seen: usize,
    splits: Vec<Split>,
}

#[derive(Clone, Debug)]
struct Split {
    /// One past the index of its last picture.
    end: usize,
    count: usize,
    /// The sum of the probabilities for each class.
    sums: Vec<f64>,
    /// The sum of `p log p` over pictures and classes.
    negentropy: f64,
}

impl Scoring {
    /// Prepares the score of `total` pictures with `classes` classes, split in their order.
    ///
    /// # Errors
    /// [`Error::Input`] if there are fewer pictures than splits, no splits or no classes, or more
    /// than 2^22 splits times classes.
    pub fn new(classes: usize, total: usize, splits: usize) -> Result<Self> {
        if splits == 0 || total < splits || classes == 0 {
            let expected = format!("{} pictures or more, and classes", splits.max(1));
            return Err(unfit(expected, format!("{total}, and {classes} classes")));
        }
        if splits.checked_mul(classes).is_none_or(|sums| sums > MOST_SUMS) {
            let expected = format!("at most {MOST_SUMS} splits times classes");
            return Err(unfit(expected, format!("{splits} splits and {classes} classes")));
        }
        let split = |i: usize| Split {
            end: ((i as u128 + 1) * total as u128 / splits as u128) as usize,
            count: 0,
            sums: vec![0.0; classes],
            negentropy: 0.0,
        };
        Ok(Self { total, seen: 0, splits: (0..splits).map(split).collect() })
    }

    /// Adds the logits of the next picture.
    ///
    /// # Errors
    /// [`Error::Input`] for more pictures than announced, another number of classes, or a logit
    /// that is not finite.
    pub fn push(&mut self, logits: &[f32]) -> Result<()> {
        let split = self.splits.iter_mut().find(|split| self.seen < split.end);
        let Some(split) = split.filter(|split| split.sums.len() == logits.len()) else {
            let found = format!("picture {} with {} logits", self.seen + 1, logits.len());
            return Err(unfit(format!("{} pictures of the classes given", self.total), found));
        };
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(unfit("finite logits".to_owned(), "others".to_owned()));
        }
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shifted = || logits.iter().map(|&v| f64::from(v) - f64::from(largest));
        let log_sum = shifted().map(f64::exp).sum::<f64>().ln();
        for (sum, v) in split.sums.iter_mut().zip(shifted()) {
            let log_p = v - log_sum;
            *sum += log_p.exp();
            split.negentropy += log_p.exp() * log_p;
        }
        split.count += 1;
        self.seen += 1;
        Ok(())
    }

    /// Returns the score of all pictures.
    ///
    /// # Errors
    /// [`Error::Input`] for fewer pictures than announced.
    pub fn finish(self) -> Result<InceptionScore> {
        if self.seen != self.total {
            return Err(unfit(format!("{} pictures", self.total), self.seen.to_string()));
        }
        let splits: Vec<f64> = self.splits.iter().map(Split::score).collect();
        let (mean, std) = bootstrap::mean_and_std(&splits);
        Ok(InceptionScore { mean, std, splits, count: self.total })
    }
}

impl Split {
    fn score(&self) -> f64 {
        let n = self.count as f64;
        let of_all = self.sums.iter().map(|sum| sum / n).filter(|q| *q > 0.0);
        (self.negentropy / n - of_all.map(|q| q * q.ln()).sum::<f64>()).exp()
    }
}

/// Returns the score of a matrix of logits, split in order.
///
/// # Errors
/// As [`Scoring`].
pub fn inception_score(logits: &Rows, splits: usize) -> Result<InceptionScore> {
    let mut scoring = Scoring::new(logits.width(), logits.len(), splits)?;
    logits.iter().try_for_each(|row| scoring.push(row))?;
    scoring.finish()
}

fn unfit(expected: String, found: String) -> Error {
    Error::Input {
        measure: "an inception score",
        expected,
        found,
        remedy: "measure on more pictures; check that the network's weights are whole",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If each picture is certainly of one class and all classes are equally frequent, the score is
    /// the number of classes. If all are certainly of the same class, or none is certain, it is 1.
    /// Logits far beyond the range of `exp` are handled.
    #[test]
    fn scores_reach_from_one_to_the_number_of_classes() -> Result<()> {
        let sure = |class: &dyn Fn(usize) -> usize| {
            let values = (0..40).flat_map(|i| {
                let of = class(i);
                (0..4).map(move |c| if c == of { 5000.0 } else { -5000.0 })
            });
            inception_score(&Rows::from_values(4, values.collect())?, 2)
        };
        assert!((sure(&|i| i % 4)?.mean - 4.0).abs() < 1e-12);
        assert!((sure(&|_| 2)?.mean - 1.0).abs() < 1e-12);
        let flat = inception_score(&Rows::from_values(4, vec![0.0; 40])?, 2)?;
        assert!((flat.mean - 1.0).abs() < 1e-12 && flat.std < 1e-12);
        // Split in order: each half contains two classes.
        assert!((sure(&|i| 2 * (i / 20) + i % 2)?.mean - 2.0).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn what_cannot_be_scored_is_refused() -> Result<()> {
        assert!(Scoring::new(3, 9, 10).is_err());
        let mut scoring = Scoring::new(2, 1, 1)?;
        assert!(scoring.push(&[0.0; 3]).is_err());
        assert!(scoring.push(&[0.0, f32::NAN]).is_err());
        scoring.push(&[0.0, 1.0])?;
        assert!(scoring.push(&[0.0, 1.0]).is_err());
        assert!(Scoring::new(2, 2, 1)?.finish().is_err());
        let mut endless = Scoring::new(1, usize::MAX, 2)?;
        endless.push(&[0.0])?;
        assert!(endless.finish().is_err());
        for (classes, splits) in [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX)] {
            assert!(Scoring::new(classes, usize::MAX, splits).is_err());
        }
        Ok(())
    }
}
