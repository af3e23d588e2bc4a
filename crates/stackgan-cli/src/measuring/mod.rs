//! Measures pictures, a few at a time, with a network if a measure needs one. Every value comes
//! with the conditions of its measurement.

mod asked;
mod checks;
mod colours;
mod folder;
pub(crate) mod judge;
mod matching;
mod measures;
mod painted;
mod real;
mod shown;
mod statistics;
mod tally;

use anyhow::Result;
use serde_json::{Value, json};
use stackgan_core::text::short_fingerprint;
use stackgan_data::counted;
use stackgan_eval::comparison::Measurer;
use stackgan_eval::gathering::KEPT;
use stackgan_eval::report::{self, Measured};

use crate::args::{Eval, Metric, Part};
use crate::context::Context;
use crate::progress::{Manner, Phase};
use crate::version::VERSION;
use checks::check_rivals;
use colours::Colours;
use judge::BATCH;
use measures::Evidence;
use real::Real;
use shown::Shown;
use tally::{Gathered, Tally};

pub(crate) use asked::{Asked, Questions};
pub(crate) use checks::{check_data, judges};
pub(crate) use colours::{captioned, colour_judge, reduced_to_64};
pub(crate) use matching::pixels;
pub(crate) use painted::DatasetPainter;
pub(crate) use real::{part_indices, real_features, real_picture};

/// The results: values, and what is printed with them.
pub(crate) struct Found {
    pub(crate) measures: Vec<Measured>,
    /// The reasons why requested measures have no value.
    pub(crate) left_out: Vec<String>,
    /// The JSON document.
    pub(crate) document: Value,
    /// The lines above the table.
    pub(crate) head: [String; 3],
    pub(crate) warnings: Vec<String>,
}

impl Found {
    /// The warnings, and what was left out.
    pub(crate) fn notes(&self) -> Vec<String> {
        with_left_out(&self.warnings, &self.left_out)
    }
}

fn with_left_out(warnings: &[String], left_out: &[String]) -> Vec<String> {
    let left_out = left_out.iter().map(|why| format!("left out: {why}"));
    warnings.iter().cloned().chain(left_out).collect()
}

/// The warning of a judge that cannot judge.
const OWN: &str = "R-precision is judged by the encoder that the model was trained with: it may say no more than how \
                   well the model pleases its own encoder; name another `--judge`";

/// Measures.
pub(crate) fn measured(args: &Eval, context: &Context) -> Result<Found> {
    let (measurer, encoder) = judges(args)?;
    let by = encoder
        .as_ref()
        .map(|e| e.text.bare_fingerprint()) // as users of the encoder see it
        .map(|print| format!("char-CNN-RNN {}", short_fingerprint(print)));
    let shown = Shown::open(args, context)?;
    let own = match encoder.as_ref().filter(|_| args.metrics.contains(&Metric::Rp)) {
        Some(judge) => shown.reads_with(judge.text.bare_fingerprint()),
        None => false,
    };
    let mut colours = None;
    if let Some(data) = shown.data() {
        let part = part_indices(data, args.split)?;
        if args.metrics.contains(&Metric::Colours) {
            colours = Some(Colours::of(data, &part)?);
        }
        if args.pictures.is_none() {
            check_rivals(args, data)?;
        }
    }

    let measurer = measurer.as_ref();
    let real = match measurer {
        Some(measurer) => Real::of(args, shown.data(), measurer, context.manner)?,
        None => Real::default(),
    };
    let total = shown.count(needed(args, measurer.is_some()));
    if let (Some(measurer), Some(found)) = (measurer, &real.of_fid) {
        say_few(args, found.moments.count(), measurer, context.manner);
    }
    let tally = Tally::new(total, measurer, encoder, colours);
    let gathered = gather((&shown, total), tally, measurer, context.manner)?;
    let judge = by.as_deref().unwrap_or_default();
    let evidence =
        Evidence { args, gathered: &gathered, measurer, real: &real, shown: &shown, judge };
    let (measures, left_out) = evidence.measure(context.manner)?;

    let count = gathered.count;
    let of_real = real.of_fid.as_ref().map(|real| real.moments.count());
    let mut warnings = measurer.map_or_else(Vec::new, |measurer| {
        let network = measurer.extractor.network();
        report::warnings(&measurer.judge, network, (count, of_real), &measures)
    });
    warnings.extend(own.then(|| OWN.to_owned()));
    warnings.extend(shown.note().map(str::to_owned));
    warnings.extend(report::scarce(&measures));
    let document = json!({
        "format": "stackgan-eval/1",
        "version": VERSION,
        "pictures": shown.facts(),
        "count": count,
        "real": real::facts(args, shown.data()),
        "judge": measurer.map(|measurer| &measurer.judge),
        "measures": measures,
        "warnings": with_left_out(&warnings, &left_out),
    });
    let head = [
        match count {
            0 => format!("pictures  {}", shown.line()), // all by a measure that paints its own
            _ => format!("pictures  {count}, {}", shown.line()),
        },
        format!("real      {}", real::line(args, shown.data())),
        measurer.map_or_else(
            || "network   none".to_owned(),
            |m| format!("network   {}, sha256 {}", m.judge.line(), m.judge.weights_sha256),
        ),
    ];
    Ok(Found { measures, left_out, document, head, warnings })
}

/// Number of painted pictures that something measures: a network all of them, the other measures at
/// most [`KEPT`]; variety paints its own.
fn needed(args: &Eval, by_network: bool) -> usize {
    let num = args.num as usize;
    let kept = |metric: &Metric| matches!(metric, Metric::Rp | Metric::Colours);
    match (by_network, args.metrics.iter().any(kept)) {
        (true, _) => num,
        (false, true) => num.min(KEPT),
        (false, false) => 0,
    }
}

/// Says before the pictures are measured that there are few to compare them with.
fn say_few(args: &Eval, real: u64, measurer: &Measurer, manner: Manner) {
    let width = measurer.judge.features;
    let more = match (&args.stats, args.split) {
        (Some(_), _) => "measure against statistics of more pictures (`--stats`)",
        (None, Part::All) => "measure against a larger dataset",
        (None, Part::Train | Part::Test) => "measure against more (`--split all`)",
    };
    let fewer = match &args.pictures {
        Some(_) => "",
        None => ", or paint fewer (`--num`)",
    };
    if real > 0 && real < report::SCARCE as u64 {
        manner.say(format!(
            "warning: there are only {real} real pictures to compare with, for {width} features: whatever is measured, \
             distances will say next to nothing; {more}{fewer}"
        ));
    }
}

/// Passes the pictures, `total` in all, to the measures.
fn gather(
    (shown, total): (&Shown, usize),
    mut tally: Tally,
    measurer: Option<&Measurer>,
    manner: Manner,
) -> Result<Gathered> {
    if total == 0 {
        return tally.finish();
    }
    let mut phase = Phase::new(manner, "pictures to measure", total as u64, "pictures");
    for from in (0..total).step_by(BATCH) {
        let to = (from + BATCH).min(total);
        let (pictures, asked) = shown.pictures(from, to)?;
        tally.take(&pictures, &asked, measurer)?;
        phase.at(to as u64);
    }
    phase.finish(&counted(total, "picture"));
    tally.finish()
}
