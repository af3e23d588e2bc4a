//! The networks that were trained before the run, through which its losses look at pictures.

use crate::config::LossConfig;
use crate::matching::Matcher;
use crate::projected::Projection;

/// Networks that were trained before, each for one loss. None of them learns.
#[derive(Debug, Default)]
pub struct Pretrained {
    /// The matcher of G's pictures and their captions for `loss.matching`. It must belong to the
    /// encoder of the embeddings.
    pub matcher: Option<Matcher>,
    /// The maps on which a second discriminator plays for `loss.projected`.
    pub projection: Option<Projection>,
}

impl Pretrained {
    /// Those whose losses have a weight.
    pub(crate) fn used(self, loss: &LossConfig) -> Self {
        Self {
            matcher: self.matcher.filter(|_| loss.matching > 0.0),
            projection: self.projection.filter(|_| loss.projected > 0.0),
        }
    }

    /// The same over the same variables.
    pub(crate) fn shared(&self) -> Self {
        Self {
            matcher: self.matcher.as_ref().map(Matcher::shared),
            projection: self.projection.clone(),
        }
    }
}
