//! The data collected from the pictures: moments, a bounded number of rows, class probabilities,
//! and matches with captions. Memory does not grow with the number of pictures.

use anyhow::Result;
use stackgan_core::image::Picture;
use stackgan_eval::inception_score::{InceptionScore, SPLITS, Scoring};
use stackgan_eval::moments::{Moments, Running};
use stackgan_eval::rows::Rows;
use stackgan_train::text::TrainedEncoder;

use super::asked::Asked;
use super::colours::Colours;
use super::judge::Measurer;
use super::matching::Matching;
use super::statistics::KEPT;

/// The data from the pictures so far.
pub(super) struct Tally {
    total: usize,
    seen: usize,
    network: Option<Running>,
    kept: Rows,
    scoring: Option<Scoring>,
    matching: Option<Matching>,
    colours: Option<Colours>,
}

/// The collected data.
pub(super) struct Gathered {
    /// Number of pictures.
    pub count: usize,
    /// Features by the measuring network, if there is one.
    pub features: Option<Features>,
    pub matching: Option<Matching>,
    pub colours: Option<Colours>,
}

/// A network's features of the pictures.
pub(super) struct Features {
    /// Moments over all pictures.
    pub moments: Moments,
    /// The features of the first [`KEPT`] pictures.
    pub rows: Rows,
    pub score: Option<InceptionScore>,
}

impl Tally {
    /// For `total` pictures. Class probabilities are scored only if there are at least as many
    /// pictures as splits.
    pub(super) fn new(
        total: usize,
        measurer: Option<&Measurer>,
        encoder: Option<TrainedEncoder>,
        colours: Option<Colours>,
    ) -> Self {
        let width = measurer.map(|measurer| measurer.extractor.network().width());
        let matching = encoder.map(Matching::by);
        let (network, kept) = (width.map(Running::new), Rows::new(width.unwrap_or_default()));
        Self { total, seen: 0, network, kept, scoring: None, matching, colours }
    }

    /// Total number of pictures to expect.
    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// Adds the next pictures, with their captions if they have any.
    pub(super) fn take(
        &mut self,
        pictures: &[Picture],
        asked: &[Asked],
        measurer: Option<&Measurer>,
    ) -> Result<()> {
        let made = measurer.map(|measurer| measurer.extractor.extract(pictures)).transpose()?;
        if let (Some(running), Some(made)) = (&mut self.network, &made) {
            if self.seen == 0 && self.total >= SPLITS {
                self.scoring = Some(Scoring::new(made.logits.width(), self.total, SPLITS)?);
            }
            for (features, logits) in made.features.iter().zip(made.logits.iter()) {
                running.push(features)?;
                if self.kept.len() < KEPT {
                    self.kept.push(features)?;
                }
                if let Some(scoring) = &mut self.scoring {
                    scoring.push(logits)?;
                }
            }
        }
        self.seen += pictures.len();
        if let Some(matching) = self.matching.as_mut().filter(|m| m.len() < KEPT) {
            matching.take(pictures, asked, made.as_ref().map(|made| &made.features))?;
        }
        self.colours.as_mut().map_or(Ok(()), |colours| colours.take(pictures, asked))
    }

    /// The collected data, after all pictures.
    pub(super) fn finish(self) -> Result<Gathered> {
        let Self { seen: count, network, kept: rows, scoring, matching, colours, .. } = self;
        let score = scoring.map(Scoring::finish).transpose()?;
        let moments = network.map(Running::finish).transpose()?;
        let features = moments.map(|moments| Features { moments, rows, score });
        Ok(Gathered { count, features, matching, colours })
    }
}
