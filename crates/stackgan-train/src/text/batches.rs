//! Composition of the batches: each row has a picture of another class, and one or more of its
//! captions.
//!
//! A batch is a pure function of the seed, the step and, if it is hard, the running means of the
//! classes' vectors.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use stackgan_core::noise::{Draws, Noise, Stream};
use stackgan_data::counted;
use stackgan_data::loader::scaled;

use super::{SIDE, TextSource, TextTrainConfig};
use crate::{Error, Result};

/// The weight of a new vector in a class's running mean.
const NEW: f32 = 0.2;

/// Names of the running means in a state, and of their classes.
const MEANS: &str = "vectors";
const CLASSES: &str = "classes";

/// One row of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The index of the class among the training classes.
    pub(super) class: usize,
    /// The index of the picture.
    pub(super) picture: usize,
    /// The indices of its captions. They differ, unless the picture has too few.
    pub(super) captions: Vec<usize>,
    /// Left edge of the crop.
    x: usize,
    /// Top edge of the crop.
    y: usize,
    /// Whether the crop is mirrored.
    pub(super) direction: Direction,
}

/// Makes the batches of the training pictures.
#[derive(Debug)]
pub(super) struct Batches {
    /// The pictures that have captions, by class.
    classes: Vec<Vec<usize>>,
    cfg: TextTrainConfig,
    /// Running mean of the unit vectors of each class's captions, once one has been seen.
    means: Vec<Option<Vec<f32>>>,
}

impl Batches {
    pub(super) fn new(
        source: &dyn TextSource,
        pictures: &[usize],
        cfg: &TextTrainConfig,
    ) -> Result<Self> {
        let mut classes = BTreeMap::<u32, Vec<usize>>::new();
        for &picture in pictures {
            if let Some(&class) = source.classes().get(picture)
                && !source.captions(picture).is_empty()
            {
                classes.entry(class).or_default().push(picture);
            }
        }
        if classes.len() < 2 {
            return Err(Error::Config {
                key: "data".to_owned(),
                expected: "pictures of two classes or more, with captions".to_owned(),
                found: counted(classes.len() as u64, "class"),
                remedy: "give it more pictures: the encoder learns to tell them apart".to_owned(),
            });
        }
        if classes.len() < cfg.batch {
            return Err(Error::Config {
                key: "batch".to_owned(),
                expected: format!("at most {}, the classes with captions", classes.len()),
                found: cfg.batch.to_string(),
                remedy: "choose a smaller one, or give the pictures more classes and captions"
                    .to_owned(),
            });
        }
        check_side(source)?;
        let means = vec![None; classes.len()];
        Ok(Self { classes: classes.into_values().collect(), cfg: cfg.clone(), means })
    }

    /// The running means `(seen, dim)` and the numbers of their classes `(seen,)`; nothing if no
    /// class has a mean yet.
    pub(super) fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let seen = self.means.iter().zip(0_u32..).filter_map(|(mean, n)| Some((mean.as_ref()?, n)));
        let (means, classes): (Vec<_>, Vec<_>) = seen.unzip();
        let Some(dim) = means.first().map(|mean| mean.len()) else { return Ok(BTreeMap::new()) };
        let classes = Tensor::new(classes, &Device::Cpu)?.to_dtype(DType::F32)?; // exact below 2^24
        let values = means.iter().copied().flatten().copied().collect();
        let means = Tensor::from_vec(values, (means.len(), dim), &Device::Cpu)?;
        Ok([(MEANS, means), (CLASSES, classes)].map(|(name, t)| (name.to_owned(), t)).into())
    }

    /// Restores what [`Self::state`] returned; nothing is changed if it is the state of other batches.
    pub(super) fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let mut restored = vec![None; self.means.len()];
        if let Some(first) = state.keys().next() {
            let (Some(means), Some(classes)) = (state.get(MEANS), state.get(CLASSES)) else {
                let expected = format!("the tensors `{MEANS}` and `{CLASSES}` of its classes");
                return Err(not_its_state(&expected, &format!("`{first}`")));
            };
            let (means, classes) = (means.to_vec2::<f32>()?, classes.to_vec1::<f32>()?);
            if means.len() != classes.len() {
                let expected = format!("a class for each of {} means", means.len());
                return Err(not_its_state(&expected, &classes.len().to_string()));
            }
            for (mean, class) in means.into_iter().zip(classes) {
                let Some(place) = restored.get_mut(class as usize) else {
                    let expected = format!("means of {} classes", self.means.len());
                    return Err(not_its_state(&expected, &format!("one of class {class}")));
                };
                *place = Some(mean);
            }
        }
        self.means = restored;
        Ok(())
    }

    /// The number of training classes.
    pub(super) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The rows of `step`.
    pub(super) fn rows(&self, source: &dyn TextSource, noise: Noise, step: u64) -> Vec<Row> {
        let mut draws = noise.draws(Stream::TextBatch, step, 0);
        let classes = self.choose(&mut draws, step);
        let room = (source.side() - SIDE) as u64 + 1;
        let rows = classes.into_iter().filter_map(|class| {
            let &picture = draws.choose(self.classes.get(class)?)?;
            let mut captions: Vec<usize> = (0..source.captions(picture).len()).collect();
            draws.shuffle(&mut captions);
            let captions =
                captions.into_iter().cycle().take(self.cfg.captions_per_picture).collect();
            let (x, y) = (draws.below(room) as usize, draws.below(room) as usize);
            Some(Row { class, picture, captions, x, y, direction: draws.chance(0.5).into() })
        });
        rows.collect()
    }

    /// Chooses different classes: random ones, or many that are similar.
    fn choose(&self, draws: &mut Draws, step: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        draws.shuffle(&mut order);
        let hard = self.cfg.hard_batches;
        let hard = hard.filter(|hard| step >= hard.after && draws.chance(hard.chance));
        if let (Some(hard), Some(&anchor)) = (hard, order.first()) {
            let mut alike: Vec<(f32, usize)> =
                order.iter().skip(1).map(|&class| (self.likeness(anchor, class), class)).collect();
            alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let near = ((self.cfg.batch as f64 * hard.share) as usize).saturating_sub(1);
            let near: Vec<usize> = alike.iter().take(near).map(|&(_, class)| class).collect();
            // The anchor, its neighbours, and then the others in random order.
            order.retain(|class| *class != anchor && !near.contains(class));
            order = [vec![anchor], near, order].concat();
        }
        order.truncate(self.cfg.batch);
        order
    }

    fn likeness(&self, a: usize, b: usize) -> f32 {
        let mean = |class: usize| self.means.get(class).and_then(Option::as_deref);
        let pairs = mean(a).unwrap_or_default().iter().zip(mean(b).unwrap_or_default());
        pairs.map(|(a, b)| a * b).sum()
    }

    /// Updates the running means of the rows' classes with the rows' vectors.
    pub(super) fn follow(&mut self, rows: &[Row], vectors: &[Vec<f32>]) {
        for (row, vector) in rows.iter().zip(vectors) {
            let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            let unit = vector.iter().map(|v| v / length);
            match self.means.get_mut(row.class) {
                Some(Some(mean)) => {
                    mean.iter_mut().zip(unit).for_each(|(mean, v)| *mean += NEW * (v - *mean));
                }
                Some(unseen) => *unseen = Some(unit.collect()),
                None => {}
            }
        }
    }
}

/// Checks that a crop fits into the pictures of `source`.
///
/// # Errors
/// [`Error::Config`] when they are smaller.
pub(super) fn check_side(source: &dyn TextSource) -> Result<()> {
    let side = source.side();
    if side >= SIDE {
        return Ok(());
    }
    Err(Error::Config {
        key: "data".to_owned(),
        expected: format!("pictures of {SIDE} pixels a side or more"),
        found: side.to_string(),
        remedy: "give prepared data of Stage-I or Stage-II".to_owned(),
    })
}

/// The error of a state that is not one of this training.
pub(super) fn not_its_state(expected: &str, found: &str) -> Error {
    Error::Core(stackgan_core::Error::Model {
        what: "this is no state of this training".to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy: "remove the state, and begin the training from the start".to_owned(),
    })
}

impl Row {
    /// Appends the crop as three planes of 64 * 64 values in [-1, 1].
    pub(super) fn push_pixels(&self, source: &dyn TextSource, out: &mut Vec<f32>) -> Result<()> {
        let sides = (source.side(), SIDE);
        push_crop(&source.picture(self.picture)?, sides, (self.x, self.y), self.direction, out);
        Ok(())
    }
}

/// The direction in which a picture is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From left to right.
    Straight,
    /// From right to left.
    Mirrored,
}

impl From<bool> for Direction {
    fn from(mirrored: bool) -> Self {
        if mirrored { Self::Mirrored } else { Self::Straight }
    }
}

/// Appends the square of `crop` pixels at `(x, y)` of a square picture of side `side`, 1 or more,
/// plane by plane, in [-1, 1].
pub(super) fn push_crop(
    picture: &[u8],
    (side, crop): (usize, usize),
    (x, y): (usize, usize),
    direction: Direction,
    out: &mut Vec<f32>,
) {
    for channel in 0..3 {
        for row in picture.chunks_exact(side.saturating_mul(3)).skip(y).take(crop) {
            let start = out.len();
            let values = row.iter().skip(3 * x + channel).step_by(3).take(crop);
            out.extend(values.map(|&byte| scaled(byte)));
            if direction == Direction::Mirrored
                && let Some(row) = out.get_mut(start..)
            {
                row.reverse();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use stackgan_core::archive::Archive;

    use super::super::HardBatches;
    use super::super::run::tests::Squares;
    use super::*;

    const HARD: HardBatches = HardBatches { chance: 1.0, share: 0.5, after: 10 };

    fn batches(source: &Squares, hard: Option<HardBatches>) -> Result<Batches> {
        let all: Vec<usize> = (0..source.classes().len()).collect();
        let cfg = TextTrainConfig { batch: 6, hard_batches: hard, ..TextTrainConfig::small() };
        Batches::new(source, &all, &cfg)
    }

    #[test]
    fn every_row_is_of_another_class_and_a_step_is_always_the_same() -> Result<()> {
        let source = Squares::new();
        let batches = batches(&source, None)?;
        for step in 0..50 {
            let rows = batches.rows(&source, Noise::new(1), step);
            let classes: BTreeSet<u32> =
                rows.iter().map(|row| source.classes()[row.picture]).collect();
            assert_eq!((rows.len(), classes.len()), (6, 6));
            assert!(rows.iter().all(|row| row.captions == [0, 1] || row.captions == [1, 0]));
            assert!(
                rows.iter()
                    .all(|row| row.x <= source.side() - SIDE && row.y <= source.side() - SIDE)
            );
            assert_eq!(rows, batches.rows(&source, Noise::new(1), step));
            assert_ne!(rows, batches.rows(&source, Noise::new(2), step));
        }
        Ok(())
    }

    /// Classes 0 to 3 have one direction and the others one each: half of every hard batch is of
    /// one kind.
    #[test]
    fn hard_batches_hold_what_is_alike() -> Result<()> {
        let source = Squares::new();
        let mut batches = batches(&source, Some(HARD))?;
        let rows: Vec<Row> = (0..batches.classes())
            .map(|class| Row {
                class,
                picture: 0,
                captions: vec![0],
                x: 0,
                y: 0,
                direction: Direction::Straight,
            })
            .collect();
        let direction =
            |class: usize| (0..20).map(|d| f32::from(u8::from(d == class.max(3)))).collect();
        let vectors: Vec<Vec<f32>> = (0..rows.len()).map(direction).collect();
        batches.follow(&rows, &vectors);
        let mut whole = 0;
        for step in 10..200 {
            let rows = batches.rows(&source, Noise::new(1), step);
            assert_eq!(rows.iter().map(|row| row.class).collect::<BTreeSet<_>>().len(), 6);
            if rows[0].class <= 3 {
                whole += 1;
                assert!(rows[..3].iter().all(|row| row.class <= 3), "{rows:?}");
            }
        }
        assert!(whole > 20, "{whole}");
        Ok(())
    }

    /// Captions of COCO have as many classes as pictures: a tensor for each would not fit a header.
    #[test]
    fn means_of_many_classes_are_kept() -> Result<()> {
        let classes = 20_000;
        let none = || Batches {
            classes: vec![vec![0]; classes],
            cfg: TextTrainConfig::small(),
            means: vec![None; classes],
        };
        let mut many = none();
        many.restore(&many.state()?)?;
        assert!(many.means.iter().all(Option::is_none));
        for class in (0..classes).filter(|class| class % 3 != 1) {
            many.means[class] = Some(vec![class as f32, -1.0]);
        }
        let mut archive = Archive::default();
        archive.extend("means.", many.state()?);
        let read = Archive::from_bytes(&archive.to_bytes()?, &Device::Cpu)?;
        let mut again = none();
        again.restore(&read.part("means."))?;
        assert_eq!(again.means, many.means);
        let mut fewer = Batches { means: vec![None; 9], ..none() };
        let error = fewer.restore(&read.part("means.")).unwrap_err().to_string();
        assert!(error.contains("means of 9 classes, found one of class 9"), "{error}");
        assert!(fewer.means.iter().all(Option::is_none));
        let strange = [("7".to_owned(), Tensor::new(&[1f32, 2.0], &Device::Cpu)?)].into();
        let error = none().restore(&strange).unwrap_err().to_string();
        assert!(error.contains("found `7`") && error.contains("do: "), "{error}");
        // One tensor for each is refused when it is written, not when it is needed.
        let one = |class: usize| (format!("means.{class}"), Tensor::new(&[1f32], &Device::Cpu));
        let each = (0..classes).map(one).map(|(name, t)| Ok((name, t?)));
        let each = Archive { tensors: each.collect::<Result<_>>()?, ..Archive::default() };
        assert!(each.to_bytes().unwrap_err().to_string().contains("20000 tensors"));
        Ok(())
    }

    #[test]
    fn a_crop_is_where_it_says_and_mirrors() {
        let side = 70;
        let picture: Vec<u8> =
            (0..side * side).flat_map(|i| [(i % side) as u8, (i / side) as u8, 255]).collect();
        let mut out = Vec::new();
        push_crop(&picture, (side, SIDE), (5, 2), Direction::Straight, &mut out);
        push_crop(&picture, (side, SIDE), (5, 2), Direction::Mirrored, &mut out);
        let value = |byte: usize| byte as f32 * (2.0 / 255.0) - 1.0;
        let plane = SIDE * SIDE;
        assert_eq!(out.len(), 6 * plane);
        assert_eq!(
            (out[0], out[SIDE - 1], out[plane], out[2 * plane]),
            (value(5), value(68), value(2), 1.0)
        );
        assert_eq!((out[3 * plane], out[4 * plane + SIDE]), (value(68), value(3)));
    }
}
