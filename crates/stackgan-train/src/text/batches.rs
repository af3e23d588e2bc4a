//! What is in a batch: one picture and one caption of each of `batch` different classes.
//!
//! A batch is a pure function of seed, step and, if it is hard, of the running means of the classes' vectors.

use std::collections::BTreeMap;

use stackgan_core::noise::{Draws, Noise, Stream};

use super::{HardBatches, SIDE, TextSource};
use crate::{Error, Result};

/// How much of a class's running mean a new vector replaces.
const NEW: f32 = 0.2;

/// One row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The class's place among the training classes.
    pub(super) class: usize,
    /// The picture.
    pub(super) picture: usize,
    /// Which of its captions.
    pub(super) caption: usize,
    /// Left edge of the crop.
    x: usize,
    /// Upper edge of the crop.
    y: usize,
    mirrored: bool,
}

/// The classes of the training pictures.
#[derive(Debug)]
pub(super) struct Batches {
    /// Pictures with captions, by class.
    classes: Vec<Vec<usize>>,
    batch: usize,
    hard: Option<HardBatches>,
    /// Running mean of the unit vectors of each class's captions; empty until one was seen.
    means: Vec<Vec<f32>>,
}

impl Batches {
    pub(super) fn new(
        source: &dyn TextSource,
        pictures: &[usize],
        batch: usize,
        hard: Option<HardBatches>,
    ) -> Result<Self> {
        let mut classes = BTreeMap::<u32, Vec<usize>>::new();
        for &picture in pictures {
            if let Some(&class) = source.classes().get(picture)
                && !source.captions(picture).is_empty()
            {
                classes.entry(class).or_default().push(picture);
            }
        }
        if classes.len() < batch || source.side() < SIDE {
            return Err(Error::Config {
                key: "text.batch".to_owned(),
                expected: format!(
                    "at most the {} classes with captions, of pictures of 64 pixels",
                    classes.len()
                ),
                found: format!("{batch}, of pictures of {} pixels", source.side()),
                remedy:
                    "choose a smaller `text.batch`, or give the pictures more classes and captions"
                        .to_owned(),
            });
        }
        let means = vec![Vec::new(); classes.len()];
        Ok(Self { classes: classes.into_values().collect(), batch, hard, means })
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
            let caption = draws.below(source.captions(picture).len() as u64) as usize;
            let (x, y) = (draws.below(room) as usize, draws.below(room) as usize);
            Some(Row { class, picture, caption, x, y, mirrored: draws.chance(0.5) })
        });
        rows.collect()
    }

    /// Different classes: random ones, or many that are alike.
    fn choose(&self, draws: &mut Draws, step: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        draws.shuffle(&mut order);
        let hard = self.hard.filter(|hard| step >= hard.after && draws.chance(hard.chance));
        if let (Some(hard), Some(&anchor)) = (hard, order.first()) {
            let mut alike: Vec<(f32, usize)> =
                order.iter().skip(1).map(|&class| (self.likeness(anchor, class), class)).collect();
            alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let near = ((self.batch as f64 * hard.share) as usize).saturating_sub(1);
            let near: Vec<usize> = alike.iter().take(near).map(|&(_, class)| class).collect();
            // The anchor, its neighbours, and then random ones in their order.
            order.retain(|class| *class != anchor && !near.contains(class));
            order = [vec![anchor], near, order].concat();
        }
        order.truncate(self.batch);
        order
    }

    fn likeness(&self, a: usize, b: usize) -> f32 {
        match (self.means.get(a), self.means.get(b)) {
            (Some(a), Some(b)) => a.iter().zip(b).map(|(a, b)| a * b).sum(),
            _ => 0.0,
        }
    }

    /// Moves the running means of the rows' classes towards the rows' vectors.
    pub(super) fn follow(&mut self, rows: &[Row], vectors: &[Vec<f32>]) {
        for (row, vector) in rows.iter().zip(vectors) {
            let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            let unit = vector.iter().map(|v| v / length);
            let Some(mean) = self.means.get_mut(row.class) else { continue };
            if mean.is_empty() {
                *mean = unit.collect();
            } else {
                mean.iter_mut().zip(unit).for_each(|(mean, v)| *mean += NEW * (v - *mean));
            }
        }
    }
}

impl Row {
    /// Appends the crop as three planes of 64 * 64 values in [-1, 1].
    pub(super) fn push_pixels(&self, source: &dyn TextSource, out: &mut Vec<f32>) -> Result<()> {
        push_crop(
            &source.picture(self.picture)?,
            source.side(),
            (self.x, self.y),
            self.mirrored.into(),
            out,
        );
        Ok(())
    }
}

/// How a crop is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Straight,
    Mirrored,
}

impl From<bool> for Direction {
    fn from(mirrored: bool) -> Self {
        if mirrored { Self::Mirrored } else { Self::Straight }
    }
}

/// Appends the crop of 64x64 pixels at `(x, y)` of a square picture, plane by plane, in [-1, 1].
pub(super) fn push_crop(
    picture: &[u8],
    side: usize,
    (x, y): (usize, usize),
    direction: Direction,
    out: &mut Vec<f32>,
) {
    for channel in 0..3 {
        for row in picture.chunks_exact(side * 3).skip(y).take(SIDE) {
            let start = out.len();
            let values = row.iter().skip(3 * x + channel).step_by(3).take(SIDE);
            out.extend(values.map(|&byte| f32::from(byte) * (2.0 / 255.0) - 1.0));
            if direction == Direction::Mirrored
                && let Some(row) = out.get_mut(start..)
            {
                row.reverse();
            }
        }
    }
}
