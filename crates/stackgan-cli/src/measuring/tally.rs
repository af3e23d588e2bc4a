//! The data collected from the pictures: features, matches with captions, and colours. Memory does
//! not grow with the number of pictures.

use anyhow::Result;
use stackgan_core::image::Picture;
use stackgan_eval::comparison::Measurer;
use stackgan_eval::gathering::{self, Gathering, KEPT};
use stackgan_train::text::TrainedEncoder;

use super::asked::Asked;
use super::colours::Colours;
use super::matching::Matching;

/// The data from the pictures so far.
pub(super) struct Tally {
    seen: usize,
    features: Option<Gathering>,
    matching: Option<Matching>,
    colours: Option<Colours>,
}

/// The collected data.
pub(super) struct Gathered {
    /// Number of pictures.
    pub count: usize,
    /// Features by the measuring network, if there is one.
    pub features: Option<gathering::Gathered>,
    pub matching: Option<Matching>,
    pub colours: Option<Colours>,
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
        let network = measurer.map(|measurer| measurer.extractor.network());
        let features = network.map(|network| Gathering::scored(network, total));
        Self { seen: 0, features, matching: encoder.map(Matching::by), colours }
    }

    /// Adds the next pictures, with their captions if they have any.
    pub(super) fn take(
        &mut self,
        pictures: &[Picture],
        asked: &[Asked],
        measurer: Option<&Measurer>,
    ) -> Result<()> {
        let made = measurer.map(|measurer| measurer.extractor.extract(pictures)).transpose()?;
        if let (Some(features), Some(made)) = (&mut self.features, &made) {
            features.add(made)?;
        }
        self.seen += pictures.len();
        if let Some(matching) = self.matching.as_mut().filter(|m| m.len() < KEPT) {
            matching.take(pictures, asked, made.as_ref().map(|made| &made.features))?;
        }
        self.colours.as_mut().map_or(Ok(()), |colours| colours.take(pictures, asked))
    }

    /// The collected data, after all pictures.
    pub(super) fn finish(self) -> Result<Gathered> {
        let Self { seen: count, features, matching, colours } = self;
        let features = features.map(Gathering::finish).transpose()?;
        Ok(Gathered { count, features, matching, colours })
    }
}
