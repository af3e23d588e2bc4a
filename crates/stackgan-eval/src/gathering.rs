//! What a network's measures need of a set of pictures, collected as the pictures come. Memory does
//! not grow with their number.

use crate::Result;
use crate::features::{Extracted, Network};
use crate::inception_score::{InceptionScore, SPLITS, Scoring};
use crate::moments::{Moments, Running};
use crate::rows::Rows;

/// Largest number of rows that are kept, for measures and intervals that need rows: 82 MB with
/// 2048 features.
pub const KEPT: usize = 10_000;

/// The features of the pictures so far.
#[derive(Debug)]
pub struct Gathering {
    moments: Running,
    rows: Rows,
    /// Number of pictures that class probabilities are scored over; 0 for no score.
    scored: usize,
    scoring: Option<Scoring>,
}

/// The features of a set of pictures.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// Mean and covariance over all pictures.
    pub moments: Moments,
    /// The features of the first [`KEPT`] pictures: a fair sample of more only if these come in random
    /// order.
    pub rows: Rows,
    /// The inception score, if there is one.
    pub score: Option<InceptionScore>,
}

impl Gathering {
    /// For pictures of any number, without an inception score.
    #[must_use]
    pub fn new(network: Network) -> Self {
        let width = network.width();
        let (moments, rows) = (Running::new(width), Rows::new(width));
        Self { moments, rows, scored: 0, scoring: None }
    }

    /// For `total` pictures, whose class probabilities are scored in [`SPLITS`] splits, in their
    /// order. It should be random: sorted by class, a split holds few classes and scores low. Fewer
    /// pictures than splits have no score.
    #[must_use]
    pub fn scored(network: Network, total: usize) -> Self {
        Self { scored: if total < SPLITS { 0 } else { total }, ..Self::new(network) }
    }

    /// Adds the next pictures, as the network sees them.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for rows of another width or values that are not
    /// finite, and for more pictures than are scored.
    pub fn add(&mut self, made: &Extracted) -> Result<()> {
        if self.scored > 0 && self.scoring.is_none() {
            self.scoring = Some(Scoring::new(made.logits.width(), self.scored, SPLITS)?);
        }
        let mut logits = made.logits.iter();
        for features in made.features.iter() {
            self.moments.push(features)?;
            if self.rows.len() < KEPT {
                self.rows.push(features)?;
            }
            if let Some(scoring) = &mut self.scoring {
                scoring.push(logits.next().unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// The features, after all pictures.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for fewer than two pictures, or fewer than are scored.
    pub fn finish(self) -> Result<Gathered> {
        let score = self.scoring.map(Scoring::finish).transpose()?;
        Ok(Gathered { moments: self.moments.finish()?, rows: self.rows, score })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network = Network::EfficientNetLite0;

    fn seen(from: usize, to: usize) -> Extracted {
        let value = |i: usize, k: usize| ((i * 31 + k * 7) % 13) as f32 / 13.0;
        let rows = |width: usize| {
            let values = (from..to).flat_map(|i| (0..width).map(move |k| value(i, k)));
            Rows::from_values(width, values.collect()).unwrap()
        };
        Extracted { features: rows(NETWORK.width()), logits: rows(5) }
    }

    #[test]
    fn however_pictures_come_they_are_gathered_alike() {
        let mut parts = Gathering::scored(NETWORK, 24);
        for (from, to) in [(0, 5), (5, 6), (6, 24)] {
            parts.add(&seen(from, to)).unwrap();
        }
        let mut whole = Gathering::scored(NETWORK, 24);
        whole.add(&seen(0, 24)).unwrap();
        let (parts, whole) = (parts.finish().unwrap(), whole.finish().unwrap());
        assert_eq!(parts.moments.mean(), whole.moments.mean());
        assert_eq!(parts.moments.covariance(), whole.moments.covariance());
        assert_eq!(parts.rows, whole.rows);
        assert_eq!(parts.score, whole.score);
        assert_eq!(whole.score.unwrap().splits.len(), SPLITS);
    }

    #[test]
    fn scores_are_of_ten_pictures_or_more_and_of_all_that_were_said() {
        let mut few = Gathering::scored(NETWORK, SPLITS - 1);
        few.add(&seen(0, SPLITS - 1)).unwrap();
        assert_eq!(few.finish().unwrap().score, None);
        let mut missing = Gathering::scored(NETWORK, 24);
        missing.add(&seen(0, 23)).unwrap();
        missing.finish().unwrap_err();
        Gathering::new(NETWORK).finish().unwrap_err();
    }
}
