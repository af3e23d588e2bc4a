//! The colours of toy birds: whether body, wing, belly and crown are painted as the caption names
//! them. Real pictures are judged in the same way. This gives an upper bound, and shows whether the
//! data are toy birds at all.

use anyhow::Result;
use stackgan_core::image::Picture;
use stackgan_data::dataset::evenly;
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::{Agreement, Judge, SIDE, named_in};
use stackgan_eval::bootstrap;
use stackgan_eval::gathering::KEPT;
use stackgan_eval::report::Measured;

use super::asked::Asked;
use super::real::{part_indices, real_picture};
use crate::args::Part;
use crate::exit::Problem;

/// The seed of the birds from which the judge learns.
const SEED: u64 = 11;
/// Maximum number of real pictures to judge.
const CHECKED: usize = 500;
/// Minimum number of named colours from which a dataset can be recognised.
const NAMED: usize = 20;
const KEYS: [&str; 4] = ["colour_body", "colour_wing", "colour_belly", "colour_crown"];

/// The judge behind all colour scores of this program.
///
/// # Errors
/// As [`Judge::new`].
pub(crate) fn colour_judge() -> Result<Judge> {
    Ok(Judge::new(SEED)?)
}

/// A picture in the form that the judge reads: 64x64 pixels, row by row. The judge refuses what comes
/// of a picture whose sides are not one multiple of 64.
pub(crate) fn reduced_to_64(picture: &Picture) -> Vec<u8> {
    picture.reduced(picture.width / SIDE).rgb
}

/// Verdicts on the pictures so far, and on real ones.
pub(super) struct Colours {
    judge: Judge,
    painted: Agreement,
    seen: usize,
    real: Agreement,
}

impl Colours {
    /// Judges some of the real pictures `indices`. Whether the data are toy birds is decided over
    /// all splits, because a few pictures are not conclusive.
    ///
    /// # Errors
    /// Code 2 if fewer than four in five have the colours that their captions name, or too few
    /// captions name one. Then the data are not toy birds: the judge is right on nineteen of twenty
    /// toy birds, and on half of the photographs of birds.
    pub(super) fn of(data: &Prepared, indices: &[usize]) -> Result<Self> {
        let judge = colour_judge()?;
        let whole = looked_at(&judge, data, &part_indices(data, Part::All)?)?;
        let right = whole.verdicts.iter().flatten().filter(|right| **right).count();
        let all = whole.counts().iter().sum::<usize>();
        if all < NAMED || 5 * right < 4 * all {
            let place = format!("file: {}", data.path().display());
            let parts = (
                "toy birds, whose captions name their colours".to_owned(),
                format!("{right} of {all} named colours in real pictures"),
            );
            let remedy = "leave `colours` out of the metrics, or name data of `stackgan data toy`";
            let what = "colours cannot be judged here";
            return Err(Problem::usage(what, place, parts, remedy).into());
        }
        let real = looked_at(&judge, data, indices)?;
        Ok(Self { judge, painted: Agreement::default(), seen: 0, real })
    }

    /// Judges the next pictures, up to [`KEPT`] in total.
    pub(super) fn take(&mut self, pictures: &[Picture], asked: &[Asked]) -> Result<()> {
        for (picture, asked) in pictures.iter().zip(asked).take(KEPT - self.seen) {
            self.judge.look(&reduced_to_64(picture), named_in(&asked.text), &mut self.painted)?;
            self.seen += 1;
        }
        Ok(())
    }

    /// A score for each part that was named.
    pub(super) fn numbers(&self) -> Vec<Measured> {
        let (painted, real) = (self.painted.rates(), self.real.rates());
        let names = KEYS.into_iter().zip(Agreement::PARTS);
        let parts = names.zip(&self.painted.verdicts).zip(painted.into_iter().zip(real));
        let mut numbers = Vec::new();
        for (((key, part), verdicts), (rate, real)) in parts {
            let Some(value) = rate else { continue };
            let right = verdicts.iter().filter(|right| **right).count();
            let real = real.map_or_else(|| "not seen".to_owned(), |rate| format!("{rate:.2}"));
            numbers.push(Measured {
                key,
                name: format!("colour of the {part}"),
                value,
                interval: bootstrap::of_share(right, verdicts.len()),
                std: None,
                count: verdicts.len(),
                real: 0,
                how: format!("where captions name it; chance 0.125, real pictures {real}"),
                by: format!("judge of toy birds, seed {SEED}"),
            });
        }
        numbers
    }
}

/// At most `most` of these pictures, evenly chosen, each with one of its captions.
pub(crate) fn captioned<'a>(
    data: &'a Prepared,
    indices: &[usize],
    most: usize,
) -> Vec<(usize, &'a str)> {
    let chosen = evenly(indices.len(), most).filter_map(|k| indices.get(k).copied());
    let with_caption = |(k, i): (usize, usize)| {
        let captions = data.captions(i);
        Some((i, captions.get(k % captions.len().max(1))?.as_str()))
    };
    chosen.enumerate().filter_map(with_caption).collect()
}

/// The judge's verdicts on at most [`CHECKED`] pictures spread evenly over `indices`, each with one
/// of its captions.
fn looked_at(judge: &Judge, data: &Prepared, indices: &[usize]) -> Result<Agreement> {
    let mut real = Agreement::default();
    for (i, caption) in captioned(data, indices, CHECKED) {
        judge.look(&reduced_to_64(&real_picture(data, i)?), named_in(caption), &mut real)?;
    }
    Ok(real)
}
