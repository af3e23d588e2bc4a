//! `stackgan nearest`: finds the training pictures closest to painted pictures, by features and by
//! pixels.
//!
//! This is the paper's check that a model does not copy (section 4.3). Pixels are compared at
//! 64x64, which takes no network: `--features none` compares nothing else.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};
use stackgan_core::image::{Picture, grid};
use stackgan_core::provenance::SOFTWARE;
use stackgan_data::counted;
use stackgan_data::prepared::Prepared;
use stackgan_eval::comparison::Measurer;
use stackgan_eval::nearest::{Near, Nearest};
use stackgan_eval::rows::Rows;

use crate::args::{Nearest as Args, Part};
use crate::context::Context;
use crate::exit::{Exit, Problem};
use crate::measuring::judge::{self, BATCH};
use crate::measuring::{
    Asked, DatasetPainter, Questions, part_indices, real_features, real_picture,
};
use crate::output::{Answer, Form, check_writable, path_text, write_file};
use crate::painting::{NEAREST, check_free};
use crate::progress::{Manner, Phase};
use crate::version::VERSION;

/// Side at which pixels are compared.
const SIDE: usize = 64;
/// Maximum side of a picture on the sheet.
const SHOWN: usize = 128;
/// The name that stands for no network.
const NO_NETWORK: &str = "none";

/// Paints, searches, and writes the sheet and the document.
pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let [sheet_file, list_file] = [NEAREST, "nearest.json"].map(|name| args.out.join(name));
    check_writable(&sheet_file)?;
    check_writable(&list_file)?;
    check_free(&sheet_file)?;
    let measurer = measurer(args.features.as_deref())?;
    let painter = DatasetPainter::open(&args.model, &args.data, &args.painting, context)?;
    let captioned = part_indices(&painter.data, args.captions)?;
    let questions = Questions::of(&painter.data, captioned, args.painting.seed)?;
    let trained = part_indices(&painter.data, Part::Train)?;
    let count = usize::from(args.num);
    let asked = questions.asked(&painter.data, 0, count);
    let seeds: Vec<u64> = (0..count).map(|i| painter.seed(i)).collect();
    let mut pictures = Vec::with_capacity(count);
    for (asked, seeds) in asked.chunks(BATCH).zip(seeds.chunks(BATCH)) {
        pictures.extend(painter.paint(asked, seeds)?);
    }
    let k = usize::from(args.k).min(trained.len());
    let by_features = match &measurer {
        Some(by) => Some(in_features(&painter.data, &trained, (&pictures, k), (by, context))?),
        None => None,
    };
    let by_features = by_features.as_deref();
    let by_pixels = in_pixels(&painter.data, &trained, (&pictures, k), context.manner)?;

    let found = Found { k, painter: &painter, trained: &trained, pictures: &pictures };
    let sheet = found.sheet(by_features, &by_pixels)?;
    write_file(&sheet_file, &sheet.encode_png_with(&[SOFTWARE])?)?;
    let document = json!({
        "format": "stackgan-nearest/1",
        "version": VERSION,
        "pictures": painter.facts(),
        "training": {
            "data": painter.data.name(), "fingerprint": painter.data.fingerprint(), "count": trained.len(),
        },
        "judge": measurer.as_ref().map(|measurer| &measurer.judge),
        "pixels": format!("{SIDE}x{SIDE}, root mean square of levels 0 to 255, also mirrored"),
        "near": found.list((&asked, &seeds), by_features, &by_pixels),
    });
    let text = serde_json::to_string_pretty(&document)? + "\n";
    write_file(&list_file, text.as_bytes())?;
    let features =
        by_features.map_or_else(String::new, |_| format!("the {k} closest in features; "));
    context
        .manner
        .say(format!("columns of the sheet: painted; {features}the {k} closest in pixels"));
    let written = [&sheet_file, &list_file].map(|file| path_text(file));
    Form::from(args.json).show(&Listed { document, written })
}

/// The training pictures that are the nearest.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    document: Value,
    #[serde(skip)]
    written: [String; 2],
}

impl Answer for Listed {
    fn lines(&self) -> Vec<String> {
        self.written.to_vec()
    }
}

/// The network of this name; without a name, the best one there is. `None` if none is wanted.
fn measurer(named: Option<&str>) -> Result<Option<Measurer>> {
    if named == Some(NO_NETWORK) {
        return Ok(None);
    }
    judge::find(named).map(Some).map_err(|error| match error.downcast::<Problem>() {
        Ok(problem) if problem.exit == Exit::Missing => {
            let remedy =
                format!("{}; or compare pixels alone: `--features {NO_NETWORK}`", problem.remedy);
            Problem { remedy, ..problem }.into()
        }
        Ok(problem) => problem.into(),
        Err(error) => error,
    })
}

/// The nearest pictures by the features that a network finds in them.
fn in_features(
    data: &Prepared,
    trained: &[usize],
    (pictures, k): (&[Picture], usize),
    (measurer, context): (&Measurer, &Context),
) -> Result<Vec<Vec<Near>>> {
    let mut asked = Rows::new(measurer.extractor.network().width());
    for pictures in pictures.chunks(BATCH) {
        let made = measurer.extractor.extract(pictures)?.features;
        made.iter().try_for_each(|row| asked.push(row))?;
    }
    let mut nearest = Nearest::new(&asked, k);
    real_features(data, trained, measurer, context.manner, &mut |made| {
        Ok(nearest.offer(&made.features)?)
    })?;
    Ok(nearest.finish())
}

/// The nearest pictures by pixels, or by those of their mirror images: training mirrors half of them.
fn in_pixels(
    data: &Prepared,
    trained: &[usize],
    (pictures, k): (&[Picture], usize),
    manner: Manner,
) -> Result<Vec<Vec<Near>>> {
    let mut asked = Rows::new(3 * SIDE * SIDE);
    for picture in pictures {
        let straight = levels(picture);
        let rows = straight.chunks_exact(3 * SIDE);
        let mirrored: Vec<f32> =
            rows.flat_map(|row| row.rchunks_exact(3).flatten()).copied().collect();
        asked.push(&straight)?;
        asked.push(&mirrored)?;
    }
    let mut nearest = Nearest::new(&asked, k);
    let mut phase = Phase::new(manner, "comparing pixels", trained.len() as u64, "pictures");
    let mut done = 0;
    for batch in trained.chunks(64) {
        let mut rows = Rows::new(3 * SIDE * SIDE);
        for &i in batch {
            rows.push(&levels(&real_picture(data, i)?))?;
        }
        nearest.offer(&rows)?;
        done += batch.len();
        phase.at(done as u64);
    }
    phase.finish(&counted(done, "picture"));
    Ok(nearest.finish().chunks(2).map(|both| closest(both.concat(), k)).collect())
}

/// The `k` nearest pictures of those that were found, each once.
fn closest(mut found: Vec<Near>, k: usize) -> Vec<Near> {
    found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
    let mut seen = BTreeSet::new();
    found.retain(|near| seen.insert(near.index));
    found.truncate(k);
    found
}

fn levels(picture: &Picture) -> Vec<f32> {
    picture.reduced(picture.width / SIDE).rgb.iter().map(|&v| f32::from(v)).collect()
}

/// The painted pictures and those that they were compared with.
struct Found<'a> {
    /// Number of nearest pictures of each.
    k: usize,
    painter: &'a DatasetPainter,
    trained: &'a [usize],
    pictures: &'a [Picture],
}

impl Found<'_> {
    /// The dataset index of a picture that was found.
    fn place(&self, near: Near) -> usize {
        self.trained.get(near.index).copied().unwrap_or_default()
    }

    /// A row for each picture: itself, the nearest by features, if they were compared, and the nearest
    /// by pixels, separated by gaps.
    fn sheet(&self, by_features: Option<&[Vec<Near>]>, by_pixels: &[Vec<Near>]) -> Result<Picture> {
        let side = self.painter.data.size().crop();
        let factor = side.div_ceil(SHOWN);
        let small = |picture: &Picture| picture.reduced(factor);
        let shown = |found: &[Near]| -> Result<Vec<Picture>> {
            let cell = |i: usize| match found.get(i) {
                Some(near) => Ok(small(&real_picture(&self.painter.data, self.place(*near))?)),
                None => Ok(Picture::filled(side / factor, side / factor, [255; 3])),
            };
            (0..self.k).map(cell).collect()
        };
        let mut cells = Vec::new();
        for (i, (picture, pixels)) in self.pictures.iter().zip(by_pixels).enumerate() {
            // A row consists of several pictures, so that the gaps can be narrow.
            let mut row = vec![small(picture)];
            for found in by_features.and_then(|found| found.get(i)).into_iter().chain([pixels]) {
                row.push(Picture::filled(12, side / factor, [255; 3]));
                row.extend(shown(found)?);
            }
            cells.push(beside(&row));
        }
        Ok(grid(&cells, 1, 4))
    }

    fn list(
        &self,
        (asked, seeds): (&[Asked], &[u64]),
        by_features: Option<&[Vec<Near>]>,
        by_pixels: &[Vec<Near>],
    ) -> Vec<Value> {
        let near = |found: &[Near], scale: f64| -> Vec<Value> {
            let one = |near: &Near| {
                let i = self.place(*near);
                json!({
                    "picture": self.painter.data.key(i), "class": self.painter.data.class(i),
                    "distance": near.distance * scale,
                })
            };
            found.iter().map(one).collect()
        };
        let levels = 1.0 / ((3 * SIDE * SIDE) as f64).sqrt();
        let rows = asked.iter().zip(seeds).zip(by_pixels).enumerate();
        rows.map(|(i, ((asked, seed), pixels))| {
            let features = by_features.and_then(|found| found.get(i));
            json!({
                "caption": asked.text, "seed": seed,
                "features": features.map(|found| near(found, 1.0)), "pixels": near(pixels, levels),
            })
        })
        .collect()
    }
}

/// Pictures of equal height side by side, separated by two white pixels.
fn beside(pictures: &[Picture]) -> Picture {
    let height = pictures.iter().map(|p| p.height).max().unwrap_or(0);
    let width: usize = pictures.iter().map(|p| p.width + 2).sum();
    let mut row = Picture::filled(width, height, [255; 3]);
    let mut left = 0;
    for picture in pictures {
        for (y, line) in picture.rgb.chunks_exact(3 * picture.width.max(1)).enumerate() {
            let start = 3 * (y * width + left);
            if let Some(target) = row.rgb.get_mut(start..start + line.len()) {
                target.copy_from_slice(line);
            }
        }
        left += picture.width + 2;
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_found_once_by_the_nearer_of_its_sides() {
        let near = |index, distance| Near { index, distance };
        let found = vec![near(4, 2.0), near(1, 3.0), near(1, 0.5), near(9, 2.0)];
        let closest: Vec<_> =
            closest(found, 2).into_iter().map(|near| (near.index, near.distance)).collect();
        assert_eq!(closest, [(1, 0.5), (4, 2.0)]);
    }

    #[test]
    fn pictures_stand_beside_each_other() {
        let row = beside(&[Picture::filled(2, 2, [1; 3]), Picture::filled(1, 2, [9; 3])]);
        assert_eq!((row.width, row.height), (7, 2));
        let reds: Vec<u8> = row.rgb.iter().step_by(3).copied().collect();
        assert_eq!(reds[..7], [1, 1, 255, 255, 9, 255, 255]);
        assert_eq!(reds[7..], reds[..7]);
    }
}
