//! Evaluation of the collected data: a value for each requested measure, or the reason why there is
//! none.

use anyhow::Result;
use clap::ValueEnum as _;
use stackgan_core::noise::Noise;
use stackgan_data::counted;
use stackgan_eval::comparison::{Comparison, Measurer};
use stackgan_eval::ms_ssim::scales;
use stackgan_eval::report::Measured;
use stackgan_eval::{r_precision, variety};

use super::matching::{self, Matching};
use super::real::Real;
use super::shown::Shown;
use super::tally::Gathered;
use crate::args::{Eval, Metric};
use crate::exit::{Problem, in_a_line, with_causes};
use crate::progress::{Manner, Phase};

/// Number of pictures per caption whose variety is measured.
const VARIANTS: usize = 4;

/// The data that the measures are computed from.
pub(super) struct Evidence<'a> {
    pub args: &'a Eval,
    pub gathered: &'a Gathered,
    pub measurer: Option<&'a Measurer>,
    pub real: &'a Real,
    pub shown: &'a Shown,
    /// The fingerprint of the judging encoder.
    pub judge: &'a str,
}

impl Evidence<'_> {
    /// Computes every requested measure. If one fails, the others are still computed. Returns the
    /// values, and the reason for each measure without one.
    ///
    /// # Errors
    /// If no measure has a value: the first failure, or code 2.
    pub(super) fn measure(&self, manner: Manner) -> Result<(Vec<Measured>, Vec<String>)> {
        let mut metrics: Vec<Metric> = Vec::new();
        for metric in &self.args.metrics {
            if !metrics.contains(metric) {
                metrics.push(*metric);
            }
        }
        let (mut measures, mut left_out, mut failure) = (Vec::new(), Vec::new(), None);
        let mut phase = Phase::new(manner, "numbers", metrics.len() as u64, "measures");
        for (done, metric) in (1..).zip(metrics) {
            match self.numbers(metric) {
                Ok(numbers) if numbers.is_empty() => left_out.push(why_not(metric).to_owned()),
                Ok(numbers) => measures.extend(numbers),
                Err(error) => {
                    let why = in_a_line(&with_causes(&error));
                    left_out.push(format!("{}: {why}", name(metric)));
                    failure = failure.or(Some(error));
                }
            }
            phase.at(done);
        }
        phase.finish(&counted(measures.len(), "number"));
        match failure {
            Some(failure) if measures.is_empty() => Err(failure),
            None if measures.is_empty() => {
                let parts = ("a number", left_out.join("; "));
                let remedy = "ask for what these pictures have: `--metrics`";
                let what = "nothing can be measured";
                Err(Problem::usage(what, "option: --metrics", parts, remedy).into())
            }
            _ => Ok((measures, left_out)),
        }
    }

    /// The values of one measure; empty if it does not apply to such pictures.
    fn numbers(&self, metric: Metric) -> Result<Vec<Measured>> {
        let noise = Noise::new(self.args.painting.seed);
        let (gathered, real) = (self.gathered, self.real);
        let sides = self.measurer.zip(gathered.features.as_ref());
        let sides = sides.map(|(measurer, generated)| Comparison { measurer, generated, noise });
        Ok(match (metric, sides, &real.of_fid, &real.rows) {
            (Metric::Fid, Some(sides), Some(real), _) => {
                let against = (&real.moments, real.rows.as_ref());
                vec![sides.frechet(against, usize::from(self.args.bootstrap))?]
            }
            (Metric::Kid, Some(sides), _, Some(rows)) => vec![sides.kernel(rows)?],
            (Metric::Pr, Some(sides), _, Some(rows)) => {
                sides.precision_recall(rows)?.into_iter().collect()
            }
            (Metric::Is, Some(sides), ..) => sides.score().into_iter().collect(),
            (Metric::Rp, ..) => {
                let candidates = matching::candidates(self.args);
                let of = |matching: &Matching| {
                    let right = matching.matched(candidates, noise)?;
                    Ok(r_precision::measured(&right, candidates, self.judge, noise))
                };
                gathered.matching.iter().map(of).collect::<Result<_>>()?
            }
            (Metric::Variety, ..) => varied(self.shown, self.args, noise)?.into_iter().collect(),
            (Metric::Colours, ..) => {
                gathered.colours.iter().flat_map(|colours| colours.numbers()).collect()
            }
            _ => Vec::new(),
        })
    }
}

/// The name of the measure in the option.
fn name(metric: Metric) -> String {
    metric.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The reason why a requested measure has no value.
const fn why_not(metric: Metric) -> &'static str {
    match metric {
        Metric::Fid => "a Fréchet distance, for which there are no real pictures",
        Metric::Kid => "a kernel distance, for which there are no features of single real pictures",
        Metric::Is => {
            "an inception score, which takes a network that tells classes, and ten pictures or more"
        }
        Metric::Pr => {
            "precision and recall, for which there are no features of single real pictures"
        }
        Metric::Rp => "R-precision, which takes pictures that were painted for captions",
        Metric::Variety => "variety, which takes a model: pictures of a folder have no captions",
        Metric::Colours => "colours, which captions do not name",
    }
}

/// The variety of the pictures of some captions, a tenth as many as pictures and at most 100, which
/// are painted for this purpose. `None` for a folder, whose pictures have no captions.
fn varied(shown: &Shown, args: &Eval, noise: Noise) -> Result<Option<Measured>> {
    let Shown::Painted { painter, questions } = shown else { return Ok(None) };
    let captions = (args.num as usize / 10).clamp(1, 100);
    let mut similarities = Vec::with_capacity(captions);
    for (i, asked) in questions.asked(&painter.data, 0, captions).into_iter().enumerate() {
        let seeds: Vec<u64> = (0..VARIANTS).map(|k| painter.seed(VARIANTS * i + k)).collect();
        let pictures = painter.paint(&vec![asked; VARIANTS], &seeds)?;
        similarities.push(variety::of_caption(&pictures)?);
    }
    let side = painter.data.size().crop();
    let found = variety::variety(&similarities, VARIANTS, noise)?;
    Ok(Some(found.measured(VARIANTS, scales(side, side))))
}
