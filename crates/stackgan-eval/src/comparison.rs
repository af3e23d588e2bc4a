//! From the features of pictures to values with their names, intervals and conditions.

use stackgan_core::noise::Noise;

use crate::Result;
use crate::bootstrap::{self, Side};
use crate::features::{Extractor, Measure};
use crate::fid::Reference;
use crate::gathering::Gathered;
use crate::kid::{SUBSETS, kid};
use crate::moments::{Moments, Running};
use crate::precision_recall::{NEIGHBOUR, precision_recall};
use crate::report::{Judge, Measured};
use crate::rows::Rows;

/// Usual number of replicates for the interval of a Fréchet distance, each as slow as the distance
/// itself.
pub const BOOTSTRAP: usize = 20;

/// A network that is ready to measure, with what a report says of it.
#[derive(Clone, Debug)]
pub struct Measurer {
    /// The network.
    pub extractor: Extractor,
    /// Its name, weights and resize.
    pub judge: Judge,
}

impl Measurer {
    /// A network whose weights are from a published file of this SHA-256.
    #[must_use]
    pub fn new(extractor: Extractor, sha256: &str) -> Self {
        Self { judge: Judge::new(extractor.network(), sha256), extractor }
    }
}

/// Generated pictures, to be compared with real ones that the same network saw. What is random (the
/// subsets, the samples that are drawn again) follows from `noise`.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// The network.
    pub measurer: &'a Measurer,
    /// Its features of the generated pictures.
    pub generated: &'a Gathered,
    /// The randomness.
    pub noise: Noise,
}

impl Comparison<'_> {
    fn line(&self, measure: Measure, key: &'static str, value: f64) -> Measured {
        let Measurer { extractor, judge } = self.measurer;
        Measured {
            key,
            name: extractor.network().call(measure, &judge.weights_sha256),
            value,
            interval: None,
            std: None,
            count: self.generated.moments.count() as usize,
            real: 0,
            how: String::new(),
            by: judge.line(),
        }
    }

    /// The Fréchet distance over all pictures. Its interval is computed from `replicates` samples, usually
    /// [`BOOTSTRAP`], each of as many pictures, drawn from the kept rows; without rows of the real pictures, of the generated ones
    /// alone. At most four samples are in memory at a time, about 170 MB each with 2048 features.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the sides have different widths, or for more
    /// `replicates` or rows than [`bootstrap::of_statistic`] takes.
    pub fn frechet(
        &self,
        (moments, rows): (&Moments, Option<&Rows>),
        replicates: usize,
    ) -> Result<Measured> {
        let all = rows.filter(|rows| rows.len() as u64 == moments.count());
        let reference = match all.filter(|rows| rows.len() <= rows.width()) {
            // No more rows than features: they are a root themselves, narrower than one that
            // would have to be factored from the covariance, which is singular.
            Some(rows) => Reference::of_rows(rows)?,
            None => Reference::new(moments),
        };
        let value = reference.distance(&self.generated.moments)?;
        let ours = &self.generated.rows;
        let side = |count: u64, rows: &Rows| Side { count: count as usize, kept: rows.len() };
        let generated = side(self.generated.moments.count(), ours);
        let sides = [rows.map_or(generated, |rows| side(moments.count(), rows)), generated];
        let again = |theirs: &[u32], drawn: &[u32]| {
            let real = rows.map(|real| drawn_reference(real, theirs)).transpose()?;
            real.as_ref().unwrap_or(&reference).distance(&drawn_moments(ours, drawn)?)
        };
        let interval = bootstrap::of_statistic(value, sides, replicates, self.noise, again)?;
        let how = match (interval, rows) {
            (Some(_), Some(_)) => format!("{replicates} samples drawn again"),
            (Some(_), None) => format!("{replicates} samples of one side drawn again"),
            (None, _) => String::new(),
        };
        let real = moments.count() as usize;
        Ok(Measured { interval, real, how, ..self.line(Measure::Frechet, "fid", value) })
    }

    /// The kernel distance, over subsets of the kept rows.
    ///
    /// # Errors
    /// As [`kid`].
    pub fn kernel(&self, real: &Rows) -> Result<Measured> {
        let ours = &self.generated.rows;
        let found = kid(real, ours, SUBSETS, self.noise)?;
        Ok(Measured {
            interval: found.interval,
            std: (found.subsets > 1).then_some(found.std),
            count: ours.len(),
            real: real.len(),
            how: match found.subsets {
                1 => format!("all at once, {} a side", found.size),
                subsets => format!("{subsets} subsets of {}", found.size),
            },
            ..self.line(Measure::Kernel, "kid", found.mean)
        })
    }

    /// The inception score, if the generated pictures were scored.
    #[must_use]
    pub fn score(&self) -> Option<Measured> {
        let score = self.generated.score.as_ref()?;
        Some(Measured {
            interval: score.interval(self.noise),
            std: Some(score.std),
            how: format!("{} splits", score.splits.len()),
            ..self.line(Measure::Score, "is", score.mean)
        })
    }

    /// Precision and recall, of the kept rows.
    ///
    /// # Errors
    /// As [`precision_recall`].
    pub fn precision_recall(&self, real: &Rows) -> Result<[Measured; 2]> {
        let ours = &self.generated.rows;
        let found = precision_recall(ours, real, NEIGHBOUR)?;
        let line = |measure, key, value, interval| Measured {
            interval,
            count: ours.len(),
            real: real.len(),
            how: format!(
                "{NEIGHBOUR} nearest neighbours; not the paper's VGG-16 and 50,000 pictures"
            ),
            ..self.line(measure, key, value)
        };
        Ok([
            line(Measure::Precision, "precision", found.precision, found.precision_interval),
            line(Measure::Recall, "recall", found.recall, found.recall_interval),
        ])
    }
}

fn drawn_moments(rows: &Rows, indices: &[u32]) -> Result<Moments> {
    let mut running = Running::new(rows.width());
    indices.iter().try_for_each(|&i| running.push(rows.row(i as usize)))?;
    running.finish()
}

fn drawn_reference(rows: &Rows, indices: &[u32]) -> Result<Reference> {
    if indices.len() <= rows.width() {
        return Reference::of_rows(&rows.picked(indices));
    }
    Ok(Reference::new(&drawn_moments(rows, indices)?))
}
