//! The real pictures of a prepared file, and their features, which are cached beside the file.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use stackgan_core::digest::{sha256, short};
use stackgan_core::image::Picture;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;
use stackgan_data::{counted, printable};
use stackgan_eval::comparison::Measurer;
use stackgan_eval::features::Extracted;
use stackgan_eval::gathering::{Gathered, Gathering, KEPT};
use stackgan_eval::rows::Rows;

use super::judge::BATCH;
use super::statistics::Statistics;
use crate::args::{Eval, Metric, Part};
use crate::datasets::Cache;
use crate::exit::Problem;
use crate::output::{path_text, write_file};
use crate::progress::{Manner, Phase};

/// The step of [`Stream::Evaluation`] that orders real pictures. It has no seed, so that cached
/// features can be reused.
const ORDER: u64 = 1;

/// The data that the pictures are compared with.
#[derive(Default)]
pub(super) struct Real {
    /// For the Fréchet distance: statistics of a file or of the data.
    pub of_fid: Option<Statistics>,
    /// The feature rows of the data.
    pub rows: Option<Rows>,
}

impl Real {
    /// Finds or computes what the measures need; also writes the statistics, if asked to. Without
    /// data there are only the statistics of `--stats`.
    pub(super) fn of(
        args: &Eval,
        data: Option<&Prepared>,
        measurer: &Measurer,
        manner: Manner,
    ) -> Result<Self> {
        let given = args.stats.as_deref().map(Statistics::read).transpose()?;
        if let (Some(found), Some(file)) = (&given, &args.stats) {
            found.check(&measurer.judge, file)?;
        }
        let Some(data) = data.filter(|_| compares(args)) else {
            return Ok(Self { of_fid: given, rows: None });
        };
        let own = statistics(data, args.split, measurer, manner)?;
        if let Some(file) = &args.save_stats {
            let bare = Statistics { moments: own.moments.clone(), rows: None, by: own.by.clone() };
            write_file(file, &bare.to_bytes()?)?;
        }
        let rows = if compares_rows(args) { own.rows.clone() } else { None };
        Ok(Self { of_fid: Some(given.unwrap_or(own)), rows })
    }
}

/// Whether pictures are compared with real ones, other than by the statistics of a file.
pub(super) fn compares(args: &Eval) -> bool {
    let distance = args.metrics.contains(&Metric::Fid) && args.stats.is_none();
    compares_rows(args) || args.save_stats.is_some() || distance
}

/// Whether a folder's pictures must be of one stage's size: they are compared with real ones, or
/// with statistics of such.
pub(super) fn wants_one_size(args: &Eval) -> bool {
    compares(args) || args.metrics.contains(&Metric::Fid)
}

/// Whether a measure takes single real pictures.
fn compares_rows(args: &Eval) -> bool {
    args.metrics.iter().any(|metric| matches!(metric, Metric::Kid | Metric::Pr))
}

/// The pictures of a part of a dataset.
///
/// # Errors
/// Code 2 when there are none.
pub(crate) fn part_indices(data: &Prepared, part: Part) -> Result<Vec<usize>> {
    let found: Vec<usize> = match part {
        Part::Train => data.indices(Split::Train),
        Part::Test => data.indices(Split::Test),
        Part::All => (0..data.len()).collect(),
    };
    if found.is_empty() {
        let place = format!("file: {}", data.path().display());
        let parts = (format!("pictures of the {} split", name(part)), "none");
        let remedy = "measure against another part (`eval --split train`); a run that measures (`train --eval-every`) needs a test split";
        let what = "there is nothing to measure against";
        return Err(Problem::usage(what, place, parts, remedy).into());
    }
    Ok(found)
}

/// The facts about the real pictures for reports.
pub(super) fn facts(args: &Eval, data: Option<&Prepared>) -> Value {
    json!({
        "data": data.map(Prepared::name),
        "fingerprint": data.map(Prepared::fingerprint),
        "size": data.map(|data| data.size().crop()),
        "pixels": data.map(Prepared::pixels),
        "resizing": data.map(|data| &data.manifest().resizing),
        "split": data.map(|_| name(args.split)),
        "statistics": args.stats.as_deref().map(path_text),
    })
}

/// The same facts in one line: what a Fréchet distance is measured to and, where it is another,
/// what the other measures compare with.
pub(super) fn line(args: &Eval, data: Option<&Prepared>) -> String {
    match (&args.stats, data.map(|data| of_data(data, args.split))) {
        (Some(file), Some(data)) if compares_rows(args) => {
            format!("statistics of {} (Fréchet distance); {data} (others)", file.display())
        }
        (Some(file), _) => format!("statistics of {}", file.display()),
        (None, Some(data)) => data,
        (None, None) => "none".to_owned(),
    }
}

/// What pictures of prepared data are in one line, with the filter that resized them: that of the
/// recipe for which they were prepared last.
fn of_data(data: &Prepared, part: Part) -> String {
    let (size, recipe) = (data.size().crop(), printable(&data.manifest().resizing));
    format!("{}, {} split, {size}x{size}, resized for the recipe {recipe}", data.name(), name(part))
}

/// The name of the part in options.
const fn name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Test => "test",
        Part::All => "all",
    }
}

/// The central crop of a prepared picture, of the size that the generators paint.
pub(crate) fn real_picture(data: &Prepared, i: usize) -> Result<Picture> {
    let (side, crop) = (data.size().prepared(), data.size().crop());
    Ok(Picture { width: crop, height: crop, rgb: middle(&data.image(i)?, side, crop) })
}

/// The middle `crop` pixels each way of a square of `side`.
fn middle(rgb: &[u8], side: usize, crop: usize) -> Vec<u8> {
    let from = side.saturating_sub(crop) / 2;
    let rows = rgb.chunks_exact(3 * side).skip(from).take(crop);
    rows.flat_map(|row| row.iter().skip(3 * from).take(3 * crop)).copied().collect()
}

/// Statistics of a part's pictures, with the rows of at most [`KEPT`] of them, in a fixed random
/// order.
fn statistics(
    data: &Prepared,
    part: Part,
    measurer: &Measurer,
    manner: Manner,
) -> Result<Statistics> {
    let mut order = part_indices(data, part)?;
    Noise::new(0).draws(Stream::Evaluation, ORDER, 0).shuffle(&mut order);
    let (name, cache) = (kept(data, part, measurer), Cache::of(data.path(), data.path()));
    let width = measurer.extractor.network().width();
    let are_whole = |found: &Statistics| {
        found.moments.width() == width
            && found.moments.count() == order.len() as u64
            && found.rows.as_ref().is_some_and(|rows| rows.len() == order.len().min(KEPT))
    };
    let read = |file: &Path| Statistics::read(file).ok().filter(are_whole);
    if let Some(found) = cache.find(&name, |file| read(&file)) {
        return Ok(found);
    }
    let mut gathering = Gathering::new(measurer.extractor.network());
    real_features(data, &order, measurer, manner, &mut |made| Ok(gathering.add(made)?))?;
    let Gathered { moments, rows, .. } = gathering.finish()?;
    let made = Statistics { moments, rows: Some(rows), by: Some(measurer.judge.line()) };
    write_file(&cache.new_file(&name), &made.to_bytes()?)?;
    Ok(made)
}

/// Passes what the network makes of pictures to `take`, some at a time.
pub(crate) fn real_features(
    data: &Prepared,
    order: &[usize],
    measurer: &Measurer,
    manner: Manner,
    take: &mut dyn FnMut(&Extracted) -> Result<()>,
) -> Result<()> {
    let mut phase = Phase::new(manner, "real pictures", order.len() as u64, "pictures");
    let mut done = 0;
    for batch in order.chunks(BATCH) {
        let pictures = batch.iter().map(|&i| real_picture(data, i)).collect::<Result<Vec<_>>>()?;
        take(&measurer.extractor.extract(&pictures)?)?;
        done += batch.len();
        phase.at(done as u64);
    }
    phase.finish(&counted(done, "picture"));
    Ok(())
}

/// The name of the cache file of the features of a part of the data. It also identifies how the
/// pixels were made, which the fingerprint of the source files does not cover.
fn kept(data: &Prepared, part: Part, measurer: &Measurer) -> String {
    let fed = format!("{} {}", measurer.judge.weights_sha256, measurer.judge.resize);
    format!(
        "eval-{}-{}-{}-{}-{}-{}.npz",
        measurer.judge.network,
        short(&sha256(fed.as_bytes())),
        short(data.fingerprint()),
        data.size().crop(),
        data.pixels(),
        name(part)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_picture_is_taken_row_by_row() {
        let rgb: Vec<u8> = (0..76 * 76).flat_map(|i| [(i / 76) as u8, (i % 76) as u8, 7]).collect();
        let middle = middle(&rgb, 76, 64);
        assert_eq!(middle.len(), 64 * 64 * 3);
        assert_eq!((&middle[..3], &middle[64 * 64 * 3 - 3..]), (&[6, 6, 7][..], &[69, 69, 7][..]));
    }
}
