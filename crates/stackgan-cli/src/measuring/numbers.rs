//! From collected data to values with their names, intervals and conditions.

use anyhow::Result;
use stackgan_core::noise::Noise;
use stackgan_data::counted;
use stackgan_eval::bootstrap;
use stackgan_eval::features::Measure;
use stackgan_eval::fid::Reference;
use stackgan_eval::kid::{SUBSETS, kid};
use stackgan_eval::moments::{Moments, Running};
use stackgan_eval::precision_recall::{NEIGHBOUR, precision_recall};
use stackgan_eval::r_precision::in_folds;
use stackgan_eval::report::Measured;
use stackgan_eval::rows::Rows;
use stackgan_eval::variety::Variety;

use super::judge::Measurer;
use super::matching::Matching;
use super::statistics::Statistics;
use super::tally::Features;

/// Number of folds of R-precision.
const FOLDS: usize = 10;

/// Both sides of a comparison.
pub(super) struct Sides<'a> {
    pub measurer: &'a Measurer,
    pub generated: &'a Features,
    pub noise: Noise,
}

impl Sides<'_> {
    fn line(&self, measure: Measure, key: &'static str, value: f64) -> Measured {
        let network = self.measurer.extractor.network();
        Measured {
            key,
            name: network.call(measure, &self.measurer.sha256),
            value,
            interval: None,
            std: None,
            count: self.generated.moments.count() as usize,
            real: 0,
            how: String::new(),
            by: self.measurer.judge.line(),
        }
    }

    /// The Fréchet distance over all pictures; its interval is computed from the kept rows.
    pub(super) fn frechet(&self, real: &Statistics, replicates: usize) -> Result<Measured> {
        let all = real.rows.as_ref().filter(|rows| rows.len() as u64 == real.moments.count());
        let reference = match all.filter(|rows| rows.len() <= rows.width()) {
            // Fewer rows than features: no eigenvectors are needed.
            Some(rows) => Reference::of_rows(rows)?,
            None => Reference::new(&real.moments),
        };
        let value = reference.distance(&self.generated.moments)?;
        let rows = &self.generated.rows;
        let of_real = real.rows.as_ref();
        let sizes = (of_real.map_or(rows.len(), Rows::len), rows.len());
        let again = |theirs: &[u32], ours: &[u32]| {
            let drawn = of_real.map(|real| drawn_reference(real, theirs)).transpose()?;
            drawn.as_ref().unwrap_or(&reference).distance(&drawn_moments(rows, ours)?)
        };
        let interval = bootstrap::of_statistic(value, sizes, replicates, self.noise, again)?;
        let how = match (interval, of_real) {
            (Some(_), Some(_)) => format!("{replicates} samples drawn again"),
            // A file has no rows, so only one side is resampled.
            (Some(_), None) => format!("{replicates} samples of one side drawn again"),
            (None, _) => String::new(),
        };
        let real = real.moments.count() as usize;
        Ok(Measured { interval, real, how, ..self.line(Measure::Frechet, "fid", value) })
    }

    pub(super) fn kernel(&self, real: &Rows) -> Result<Measured> {
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

    /// The inception score; `None` if there are fewer pictures than splits.
    pub(super) fn score(&self) -> Option<Measured> {
        let score = self.generated.score.as_ref()?;
        Some(Measured {
            interval: score.interval(self.noise),
            std: Some(score.std),
            how: format!("{} splits", score.splits.len()),
            ..self.line(Measure::Score, "is", score.mean)
        })
    }

    pub(super) fn precision_recall(&self, real: &Rows) -> Result<[Measured; 2]> {
        let ours = &self.generated.rows;
        let found = precision_recall(ours, real, NEIGHBOUR)?;
        let line = |measure, key, value, interval| Measured {
            interval,
            count: ours.len(),
            real: real.len(),
            how: format!("{NEIGHBOUR} nearest neighbours"),
            ..self.line(measure, key, value)
        };
        Ok([
            line(Measure::Precision, "precision", found.precision, found.precision_interval),
            line(Measure::Recall, "recall", found.recall, found.recall_interval),
        ])
    }
}

/// R-precision by the encoder with this fingerprint.
pub(super) fn r_precision(
    matching: &Matching,
    candidates: usize,
    by: &str,
    noise: Noise,
) -> Result<Measured> {
    let right = matching.matched(candidates, noise)?;
    let count = right.iter().filter(|right| **right).count();
    let value = count as f64 / right.len().max(1) as f64;
    let folds = in_folds(&right, FOLDS, noise);
    let chance = 1.0 / candidates as f64;
    let folded = if folds.is_some() { format!("{FOLDS} folds, ") } else { String::new() };
    Ok(Measured {
        key: "rp",
        name: "R-precision".to_owned(),
        value,
        interval: bootstrap::of_share(count, right.len()),
        std: folds.map(|(_, std)| std),
        count: right.len(),
        real: 0,
        how: format!("{folded}1 of {candidates} captions, chance {chance:.2}"),
        by: by.to_owned(),
    })
}

/// The variety of the pictures of one caption, of which there are `pictures`.
pub(super) fn variety(found: &Variety, pictures: usize, scales: usize) -> Measured {
    Measured {
        key: "variety",
        name: "MS-SSIM within a caption".to_owned(),
        value: found.similarity,
        interval: found.interval,
        std: None,
        count: pictures * found.captions,
        real: 0,
        how: format!(
            "{}, {} pairs each; 1 is no variety",
            counted(found.captions, "caption"),
            found.pairs
        ),
        by: format!("{scales} scales"),
    }
}

fn drawn_moments(rows: &Rows, indices: &[u32]) -> stackgan_eval::Result<Moments> {
    let mut running = Running::new(rows.width());
    indices.iter().try_for_each(|&i| running.push(rows.row(i as usize)))?;
    running.finish()
}

fn drawn_reference(rows: &Rows, indices: &[u32]) -> stackgan_eval::Result<Reference> {
    if indices.len() <= rows.width() {
        return Reference::of_rows(&rows.picked(indices));
    }
    Ok(Reference::new(&drawn_moments(rows, indices)?))
}
