//! What is checked before anything is painted: the network, the judging encoder, the options, and
//! the data.

use anyhow::Result;
use stackgan_data::prepared::Prepared;
use stackgan_eval::comparison::{BOOTSTRAP, Measurer};
use stackgan_eval::gathering::KEPT;
use stackgan_train::text::TrainedEncoder;

use super::asked::Questions;
use super::colours::Colours;
use super::judge;
use super::matching;
use super::real::{self, part_indices};
use crate::args::{Eval, Metric, Part};
use crate::encoders;
use crate::exit::Problem;

/// The measuring network, if one is needed, and the judging encoder. Problems with either are
/// reported before anything is painted.
pub(crate) fn judges(args: &Eval) -> Result<(Option<Measurer>, Option<TrainedEncoder>)> {
    check_captioned(args)?;
    check_compared(args)?;
    check_used(args)?;
    let encoder = args.judge.as_deref().map(encoders::load_trained).transpose()?;
    let needs = |metric: &Metric| !matches!(metric, Metric::Rp | Metric::Variety | Metric::Colours);
    let needed = args.metrics.iter().any(needs)
        || args.save_stats.is_some()
        || args.features.is_some()
        || encoder.as_ref().is_some_and(matching::reads_features);
    let measurer = needed.then(|| judge::find(args.features.as_deref())).transpose()?;
    check_gate(args, measurer.as_ref())?;
    if args.metrics.contains(&Metric::Rp) && encoder.is_none() {
        let remedy =
            "name an encoder that was trained with its image side: `--judge encoder.safetensors`";
        let (what, expected) = ("R-precision has no judge", "an encoder that judges R-precision");
        return Err(Problem::missing(what, "option: --judge", expected, remedy).into());
    }
    if let (Some(encoder), Some(measurer)) = (&encoder, &measurer) {
        matching::check_judge(encoder, measurer)?;
    }
    Ok((measurer, encoder))
}

/// Checks that what is named is for something that is measured.
///
/// # Errors
/// Code 2 for an option that no metric uses.
fn check_used(args: &Eval) -> Result<()> {
    let has = |metric| args.metrics.contains(&metric);
    // The default may not have been typed, and 0 asks for none.
    let resampled = ![0, BOOTSTRAP].contains(&usize::from(args.bootstrap));
    let (option, metric) = match (&args.stats, &args.judge, args.candidates) {
        (Some(_), ..) if !has(Metric::Fid) => ("--stats", "fid"),
        _ if resampled && !has(Metric::Fid) => ("--bootstrap", "fid"),
        (_, Some(_), _) if !has(Metric::Rp) => ("--judge", "rp"),
        (.., Some(_)) if !has(Metric::Rp) => ("--candidates", "rp"),
        _ => return Ok(()),
    };
    let parts = (format!("`{metric}` among the metrics, which uses it"), "others");
    let remedy = format!("add `{metric}` to `--metrics`, or leave `{option}` out");
    let place = format!("option: {option}");
    Err(Problem::usage("no metric uses this option", place, parts, remedy).into())
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

/// Checks that there are real pictures, if a measure compares with them.
///
/// # Errors
/// Code 2 if there are none.
fn check_compared(args: &Eval) -> Result<()> {
    if args.data.is_some() || !real::compares(args) {
        return Ok(());
    }
    let parts = ("a dataset, for what these metrics compare", "none");
    let remedy = "name one: `--data`; without, a folder of pictures has an inception score (`--metrics is`), and a \
                  Fréchet distance to statistics (`--metrics fid --stats FILE`)";
    let what = "there are no real pictures to compare with";
    Err(Problem::usage(what, "option: --data", parts, remedy).into())
}

/// Checks that these data can be measured: pictures to compare with, colours that can be judged,
/// and captions that differ.
///
/// # Errors
/// Code 2 if they cannot.
pub(crate) fn check_data(args: &Eval, data: &Prepared) -> Result<()> {
    part_indices(data, args.split)?;
    if args.metrics.contains(&Metric::Colours) {
        Colours::of(data, &part_indices(data, Part::All)?)?;
    }
    check_rivals(args, data)
}

/// Checks that captions differ enough for R-precision, if it is requested.
///
/// # Errors
/// Code 2 if a picture's own caption has too few rivals.
pub(super) fn check_rivals(args: &Eval, data: &Prepared) -> Result<()> {
    if !args.metrics.contains(&Metric::Rp) {
        return Ok(());
    }
    let questions = Questions::of(data, part_indices(data, args.split)?, args.painting.seed)?;
    let asked = questions.asked(data, 0, KEPT.min(args.num as usize));
    matching::check_rivals(&asked, matching::candidates(args))
}

/// Checks that a gate for FIDs has a network that measures FIDs, before an hour of painting.
fn check_gate(args: &Eval, measurer: Option<&Measurer>) -> Result<()> {
    let gated = args.max_fid.or(args.max_fd).is_some();
    if gated && !args.metrics.contains(&Metric::Fid) {
        let (what, parts) = ("the gate has no number", ("`fid` among the metrics", "others"));
        let remedy = "add it: `--metrics fid`";
        return Err(Problem::usage(what, "option: --metrics", parts, remedy).into());
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
