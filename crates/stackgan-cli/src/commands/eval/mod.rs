//! `stackgan eval`: paints or reads pictures, a few at a time, and measures them, with a network if
//! a measure needs one. Every value is printed with the conditions of its measurement.
//! `stackgan nearest` uses the same features.

mod asked;
mod colours;
mod judge;
mod measures;
mod nearest;
mod numbers;
mod painted;
mod real;
mod shown;
mod statistics;
mod tally;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use stackgan_data::counted;
use stackgan_data::prepared::Prepared;
use stackgan_eval::report::{self, Measured};
use stackgan_train::text::TrainedEncoder;

use super::{Context, aligned, apart, check_writable, encoders, path_text, print, write_file};
use crate::args::{Eval, Metric, Part};
use crate::exit::{Exit, Problem};
use crate::progress::Phase;
use asked::Questions;
use colours::Colours;
use judge::Measurer;
use measures::{Evidence, Measures};
use shown::Shown;
use statistics::Statistics;
use tally::{Gathered, Tally};

pub(crate) use judge::{import, network_of};
pub(super) use nearest::run as nearest;

/// Number of pictures per pass of a network.
const BATCH: usize = 16;
/// Maximum number of rows kept for each side, for measures and intervals that need rows: 82 MB with
/// 2048 features.
const KEPT: usize = 10_000;

/// The results: values, and what is printed with them.
pub(super) struct Found {
    pub(super) measures: Vec<Measured>,
    /// The reasons why requested measures have no value.
    pub(super) left_out: Vec<String>,
    /// The JSON document.
    pub(super) document: Value,
    head: [String; 3],
    warnings: Vec<String>,
}

/// Measures, prints, and checks the gates.
pub(super) fn run(args: &Eval, context: &Context) -> Result<Exit> {
    let written = [("--out", args.out.as_deref()), ("--save-stats", args.save_stats.as_deref())];
    apart(&[args.model.as_deref(), args.judge.as_deref(), args.stats.as_deref()], &written)?;
    written.into_iter().filter_map(|(_, out)| out).try_for_each(check_writable)?;
    let found = measured(args, context)?;
    if args.json {
        print(serde_json::to_string_pretty(&found.document)?)?;
    } else {
        found.head.iter().try_for_each(print)?;
        aligned(&report::table(&found.measures)).iter().try_for_each(print)?;
    }
    found.warnings.iter().for_each(|warning| context.manner.say(format!("warning: {warning}")));
    if let Some(out) = &args.out {
        write_file(out, (serde_json::to_string_pretty(&found.document)? + "\n").as_bytes())?;
    }
    gate(args, &found.measures, context)
}

/// Checks that the split has pictures to compare with.
///
/// # Errors
/// Code 2 when it has none.
pub(super) fn check_split(data: &Prepared, part: Part) -> Result<()> {
    real::indices(data, part).map(drop)
}

/// The measuring network, if one is needed, and the judging encoder. Problems with either are
/// reported before anything is painted.
pub(super) fn judges(args: &Eval) -> Result<(Option<Measurer>, Option<TrainedEncoder>)> {
    check_captioned(args)?;
    let encoder = args.judge.as_deref().map(encoders::load_trained).transpose()?;
    let needs = |metric: &Metric| !matches!(metric, Metric::Rp | Metric::Variety | Metric::Colours);
    let needed = args.metrics.iter().any(needs)
        || args.save_stats.is_some()
        || args.features.is_some()
        || encoder.as_ref().is_some_and(tally::reads_features);
    let measurer = needed.then(|| judge::find(args.features.as_deref())).transpose()?;
    check_gate(args, measurer.as_ref())?;
    if args.metrics.contains(&Metric::Rp) && encoder.is_none() {
        let remedy =
            "name an encoder that was trained with its image side: `--judge encoder.safetensors`";
        let expected = "an encoder that judges R-precision";
        return Err(Problem::missing(
            "R-precision has no judge",
            "option: --judge",
            expected,
            remedy,
        )
        .into());
    }
    if let (Some(encoder), Some(measurer)) = (&encoder, &measurer) {
        tally::check_judge(encoder, measurer)?;
    }
    Ok((measurer, encoder))
}

/// Checks that pictures have captions, if a measure compares them with their captions.
///
/// # Errors
/// Code 2 for pictures of a folder.
fn check_captioned(args: &Eval) -> Result<()> {
    let Some(dir) = &args.pictures else { return Ok(()) };
    let missing = args.metrics.iter().find_map(|metric| match metric {
        Metric::Rp => Some("no caption is the right one for R-precision"),
        Metric::Colours => Some("no caption names the colours"),
        _ => None,
    });
    let Some(what) = missing else { return Ok(()) };
    let parts = ("pictures painted for captions", format!("the folder {}", dir.display()));
    let remedy = "name a model: `--model`";
    Err(Problem::usage(what, "option: --metrics", parts, remedy).into())
}

/// Checks that the colours of these data can be judged.
///
/// # Errors
/// Code 2 if they are not toy birds.
pub(super) fn check_colours(data: &Prepared) -> Result<()> {
    Colours::of(data, &real::indices(data, Part::All)?).map(drop)
}

/// Checks that captions differ enough for R-precision, if it is requested.
///
/// # Errors
/// Code 2 if a picture's own caption has too few rivals.
pub(super) fn check_rivals(args: &Eval, data: &Prepared) -> Result<()> {
    if !args.metrics.contains(&Metric::Rp) {
        return Ok(());
    }
    let questions = Questions::of(data, real::indices(data, args.split)?, args.seed)?;
    let asked = questions.asked(data, 0, KEPT.min(args.num as usize));
    numbers::check_rivals(&asked, usize::from(args.candidates))
}

/// Measures.
pub(super) fn measured(args: &Eval, context: &Context) -> Result<Found> {
    let (measurer, encoder) = judges(args)?;
    let by = encoder
        .as_ref()
        .map(|e| e.text.bare_fingerprint()) // as users of the encoder see it
        .transpose()?
        .map(|print| format!("char-CNN-RNN {}", print.get(..21).unwrap_or_default()));
    let shown = Shown::open(args, context)?;
    let part = real::indices(shown.data(), args.split)?;
    let colours = args.metrics.contains(&Metric::Colours);
    let colours = colours.then(|| Colours::of(shown.data(), &part)).transpose()?;
    if args.pictures.is_none() {
        check_rivals(args, shown.data())?;
    }

    let measurer = measurer.as_ref();
    let real = match measurer {
        Some(measurer) => real_side(args, shown.data(), measurer, context)?,
        None => Real { of_fid: None, rows: None },
    };
    let total = shown.count(args.num as usize);
    let gathered =
        gather(&shown, Tally::new(total, measurer, encoder, colours), measurer, context)?;
    let judge = by.as_deref().unwrap_or_default();
    let evidence =
        Evidence { args, gathered: &gathered, measurer, real: &real, shown: &shown, judge };
    let Measures { measures, left_out } = evidence.measure(context)?;

    let count = gathered.count;
    let of_real = real.of_fid.as_ref().map(|real| real.moments.count());
    let mut warnings = measurer.map_or_else(Vec::new, |measurer| {
        report::warnings(&measurer.judge, measurer.extractor.network(), count, of_real)
    });
    warnings.extend(report::scarce(&measures));
    warnings.extend(left_out.iter().map(|why| format!("left out: {why}")));
    let document = json!({
        "format": "stackgan-eval/1",
        "version": env!("CARGO_PKG_VERSION"),
        "pictures": shown.facts(),
        "count": count,
        "real": {
            "data": shown.data().name(), "fingerprint": shown.data().fingerprint(),
            "split": real::name(args.split), "statistics": args.stats.as_deref().map(path_text),
        },
        "judge": measurer.map(|measurer| &measurer.judge),
        "measures": measures,
        "warnings": warnings,
    });
    let head = [
        format!("pictures  {count}, {}", shown.line()),
        format!("real      {}, {} split", shown.data().name(), real::name(args.split)),
        measurer.map_or_else(
            || "network   none".to_owned(),
            |m| format!("network   {}, sha256 {}", m.judge.line(), m.sha256),
        ),
    ];
    Ok(Found { measures, left_out, document, head, warnings })
}

/// Checks that a gate for FIDs has a network that measures FIDs, before an hour of painting.
fn check_gate(args: &Eval, measurer: Option<&Measurer>) -> Result<()> {
    let gated = args.max_fid.or(args.max_fd).is_some();
    if gated && !args.metrics.contains(&Metric::Fid) {
        let parts = ("`fid` among the metrics", "others");
        let remedy = "add it: `--metrics fid`";
        return Err(
            Problem::usage("the gate has no number", "option: --metrics", parts, remedy).into()
        );
    }
    let Some(measurer) = measurer.filter(|_| args.max_fid.is_some()) else { return Ok(()) };
    let network = measurer.extractor.network();
    if !(network.measures_fid() && measurer.judge.published_as.is_some()) {
        let parts = ("published weights of an Inception network", measurer.judge.line());
        let remedy = "its Fréchet distances are no FIDs: use `--max-fd`";
        return Err(Problem::usage("no FID is measured", "option: --max-fid", parts, remedy).into());
    }
    Ok(())
}

fn gate(args: &Eval, measures: &[Measured], context: &Context) -> Result<Exit> {
    let most = numbers::strictest([args.max_fid, args.max_fd]);
    let Some(distance) = measures.iter().find(|m| m.key == "fid") else {
        ensure!(
            most.is_none(),
            "the gate has no number: the Fréchet distance could not be measured"
        );
        return Ok(Exit::Done);
    };
    if numbers::passes(distance.value, most) {
        return Ok(Exit::Done);
    }
    context.manner.say(format!(
        "gate: {} is {:.4}{}, above {}",
        distance.name,
        distance.value,
        numbers::span(distance.interval),
        most.unwrap_or_default()
    ));
    Ok(Exit::Gate)
}

/// The data that the pictures are compared with.
struct Real {
    /// For the Fréchet distance: statistics of a file or of the data.
    of_fid: Option<Statistics>,
    /// The feature rows of the data.
    rows: Option<stackgan_eval::rows::Rows>,
}

fn real_side(args: &Eval, data: &Prepared, measurer: &Measurer, context: &Context) -> Result<Real> {
    let wants = |metric| args.metrics.contains(&metric);
    let given = args.stats.as_deref().map(|file| {
        let found = Statistics::read(file)?;
        found.check_width(measurer.extractor.network().width(), file)?;
        Ok::<_, anyhow::Error>(found)
    });
    let given = given.transpose()?;
    let needs_rows = wants(Metric::Kid) || wants(Metric::Pr);
    let needs_data =
        needs_rows || args.save_stats.is_some() || (wants(Metric::Fid) && given.is_none());
    if !needs_data {
        return Ok(Real { of_fid: given, rows: None });
    }
    let own = real::statistics(data, args.split, measurer, context)?;
    if let Some(file) = &args.save_stats {
        let bare = Statistics { moments: own.moments.clone(), rows: None };
        write_file(file, &bare.to_bytes()?)?;
    }
    let rows = if needs_rows { own.rows.clone() } else { None };
    Ok(Real { of_fid: Some(given.unwrap_or(own)), rows })
}

/// Passes the pictures to the measures.
fn gather(
    shown: &Shown,
    mut tally: Tally,
    measurer: Option<&Measurer>,
    context: &Context,
) -> Result<Gathered> {
    let total = tally.total();
    let mut phase = Phase::new(context.manner, "pictures to measure", total as u64, "pictures");
    for from in (0..total).step_by(BATCH) {
        let to = (from + BATCH).min(total);
        let (pictures, asked) = shown.pictures(from, to)?;
        tally.take(&pictures, &asked, measurer)?;
        phase.at(to as u64);
    }
    phase.finish(&counted(total, "picture"));
    tally.finish()
}
