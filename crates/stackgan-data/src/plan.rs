//! The plan of each batch: pictures, crops, flips, captions and wrong pictures. No picture is read
//! here.
//!
//! A step's plan is a pure function of seed and step, so threads, prefetching and resuming cannot
//! change it.
//!
//! Source of both recipes' rules: TensorFlow release, `misc/datasets.py` (`sample_embeddings`,
//! `transform`); PyTorch release, `code/miscc/datasets.py` and `code/trainer.py`. Two oddities of
//! the TensorFlow release are options: a random crop never has the last offset, and a wrong picture
//! of the same class is replaced only once, without a check.

use crate::crop::PictureSize;
use crate::prepared::Prepared;
use crate::{Error, Result};
use stackgan_noise::{Draws, Noise, Stream};
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum number of captions of a picture: all of them are shuffled when some are drawn.
const MOST_CAPTIONS: usize = 1 << 20;

/// The range of the offsets of random crops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CropOffsets {
    /// `0..S - crop`: the TensorFlow release never uses the last offset (0 to 11, 0 to 47).
    AsReleased,
    /// `0..=S - crop`: all offsets (0 to 12, 0 to 48), as in the PyTorch release.
    Inclusive,
}

/// How many captions of a picture are chosen, without replacement, for the mean of their
/// embeddings.
///
/// The number is drawn uniformly, and limited to the number of captions. `residual`: 4 to 4;
/// `plain`: 1 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captions {
    /// Minimum number of captions, at least 1.
    pub min: usize,
    /// Maximum number of captions.
    pub max: usize,
}

/// Which picture is the wrong one for a caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongPairs {
    /// A picture of another class, uniformly.
    ///
    /// Differs from the release: [`Self::AsReleased`] can end at a picture of the same class.
    OtherClass,
    /// The TensorFlow release: any picture; if it is of the same class, the one 100 to 199
    /// positions further (one number for the whole batch), without another check.
    AsReleased,
    /// No wrong pictures: the recipe pairs captions and pictures within the batch.
    None,
}

/// Whether pictures are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// With probability one half.
    Half,
    /// Never.
    Never,
}

/// The rules of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanConfig {
    /// Number of samples in a batch, at least 2 (batch norm has no variance for one).
    pub batch: usize,
    /// The size of the pictures, which also gives that of the crops.
    pub size: PictureSize,
    /// The range of the crop offsets.
    pub offsets: CropOffsets,
    /// How many captions make an embedding.
    pub captions: Captions,
    /// Which pictures are the wrong ones.
    pub wrong: WrongPairs,
    /// Whether pictures are mirrored.
    pub flip: Flip,
}

/// A view of one picture: its index, the corner of the crop, and whether it is mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The picture's index in the prepared file.
    pub image: usize,
    /// Left edge of the crop.
    pub x: usize,
    /// Top edge of the crop.
    pub y: usize,
    /// Whether it is mirrored left to right.
    pub mirrored: bool,
}

/// One sample of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplePlan {
    /// The picture.
    pub view: View,
    /// The rows of the captions whose embeddings are averaged.
    pub captions: Vec<usize>,
    /// The wrong picture, if the recipe has one.
    pub wrong: Option<View>,
}

/// The plan of one step's batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepPlan {
    /// The step.
    pub step: u64,
    /// The epoch of the step, from zero.
    pub epoch: u64,
    /// The samples.
    pub samples: Vec<SamplePlan>,
}

/// The plan of a whole training. Steps are unlimited; epochs follow each other.
#[derive(Debug)]
pub struct Plan {
    cfg: PlanConfig,
    noise: Noise,
    indices: Vec<usize>,
    /// First caption row and number of captions, by position in `indices`.
    captions: Vec<(usize, usize)>,
    /// Class, by position in `indices`.
    classes: Vec<u32>,
    /// Positions in `indices`, sorted by class; and for each position the range of its class among
    /// them.
    by_class: Vec<usize>,
    class_span: Vec<(usize, usize)>,
    /// The order of the latest epoch: a cache, not state.
    order: Mutex<Option<(u64, Arc<Vec<u32>>)>>,
}

impl Plan {
    /// A plan over the pictures `indices` of a dataset with these classes and caption counts.
    ///
    /// # Errors
    /// [`Error::Config`] when there are fewer samples than a batch, a batch has fewer than two, a
    /// picture has no captions or over a million, or there is no picture of another class where one is needed.
    pub fn new(
        classes: &[u32],
        caption_counts: &[usize],
        indices: Vec<usize>,
        cfg: PlanConfig,
        noise: Noise,
    ) -> Result<Self> {
        let Captions { min, max } = cfg.captions;
        let most = indices.len();
        if most < 2 {
            let (what, found) = ("there are too few pictures to train on", most.to_string());
            return Err(Error::config(what, ("2 or more", found), "use more"));
        }
        if cfg.batch < 2 || most < cfg.batch {
            return Err(Error::config(
                "the batch does not fit the dataset",
                (format!("2 to {most} pictures"), cfg.batch.to_string()),
                format!("give `--set optim.batch={most}`, or use more pictures"),
            ));
        }
        if min == 0 || min > max {
            return Err(Error::config(
                "numbers of captions make no sense",
                ("1 or more", format!("{min} to {max}")),
                "average 4 to 4 captions (residual) or 1 to 1 (plain)",
            ));
        }
        if let Some(&most) = caption_counts.iter().max().filter(|&&n| n > MOST_CAPTIONS) {
            return Err(Error::config(
                "a picture has too many captions",
                (format!("at most {MOST_CAPTIONS}"), most.to_string()),
                "leave some of them out",
            ));
        }
        let starts: Vec<usize> = caption_counts
            .iter()
            .scan(0, |start, &n| Some(std::mem::replace(start, *start + n)))
            .collect();
        let mut captions = Vec::with_capacity(indices.len());
        let mut own_classes = Vec::with_capacity(indices.len());
        for &i in &indices {
            match (starts.get(i), caption_counts.get(i), classes.get(i)) {
                (Some(&start), Some(&n), Some(&class)) if n > 0 => {
                    captions.push((start, n));
                    own_classes.push(class);
                }
                _ => {
                    return Err(Error::config(
                        "picture has no captions",
                        ("at least one", format!("none for picture {i}")),
                        "give each picture at least one caption",
                    ));
                }
            }
        }
        let mut by_class: Vec<usize> = (0..indices.len()).collect();
        by_class.sort_by_key(|&position| own_classes.get(position));
        let mut class_span = vec![(0, 0); indices.len()];
        let mut from = 0;
        for group in by_class.chunk_by(|&a, &b| own_classes.get(a) == own_classes.get(b)) {
            for &position in group {
                if let Some(span) = class_span.get_mut(position) {
                    *span = (from, from + group.len());
                }
            }
            from += group.len();
        }
        let one_class = class_span.first() == Some(&(0, indices.len()));
        if cfg.wrong == WrongPairs::OtherClass && one_class {
            let remedy = "give the pictures classes; or train the plain recipe, which needs none: `--set net.recipe=plain --set data.wrong=next-text`";
            let pair = ("two classes", "one");
            return Err(Error::config("no picture is of another class", pair, remedy));
        }
        Ok(Self {
            cfg,
            noise,
            indices,
            captions,
            classes: own_classes,
            by_class,
            class_span,
            order: Mutex::new(None),
        })
    }

    /// A plan over some pictures of a prepared file.
    ///
    /// # Errors
    /// As [`Plan::new`]; also when the file's pictures have another size than `cfg` requires.
    pub fn over(
        data: &Prepared,
        indices: Vec<usize>,
        cfg: PlanConfig,
        noise: Noise,
    ) -> Result<Self> {
        if data.size() != cfg.size {
            return Err(Error::config(
                "prepared file has another picture size",
                (
                    format!("{} pixels", cfg.size.prepared()),
                    format!("{} pixels in {}", data.size().prepared(), data.path().display()),
                ),
                "import the dataset for this stage",
            ));
        }
        let counts: Vec<usize> = (0..data.len()).map(|i| data.caption_range(i).len()).collect();
        Self::new(data.classes(), &counts, indices, cfg, noise)
    }

    /// The rules.
    #[must_use]
    pub fn config(&self) -> &PlanConfig {
        &self.cfg
    }

    /// Number of steps of one epoch: whole batches only, the remainder is dropped.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        (self.indices.len() / self.cfg.batch) as u64
    }

    /// The plan of `step`.
    #[must_use]
    pub fn step(&self, step: u64) -> StepPlan {
        let epoch = step / self.steps_per_epoch();
        let order = self.order_of(epoch);
        let first = (step % self.steps_per_epoch()) as usize * self.cfg.batch;
        // One number for the whole batch, as in the release.
        let shift = 100 + self.noise.draws(Stream::WrongPair, step, u64::MAX).below(100) as usize;
        let samples = order.iter().skip(first).take(self.cfg.batch).enumerate();
        let samples =
            samples.map(|(s, &position)| self.sample(step, s as u64, position as usize, shift));
        StepPlan { step, epoch, samples: samples.collect() }
    }

    fn sample(&self, step: u64, s: u64, position: usize, shift: usize) -> SamplePlan {
        let draws = |stream| self.noise.draws(stream, step, s);
        let mirrored = match self.cfg.flip {
            Flip::Half => draws(Stream::Flip).chance(0.5),
            Flip::Never => false,
        };
        let view = View { mirrored, ..self.crop(position, &mut draws(Stream::Crop)) };
        let wrong = self.wrong(position, shift, &mut draws(Stream::WrongPair)).map(|position| {
            let mut draws = draws(Stream::WrongCrop);
            let view = self.crop(position, &mut draws);
            View { mirrored: self.cfg.flip == Flip::Half && draws.chance(0.5), ..view }
        });
        SamplePlan {
            view,
            captions: self.choose_captions(position, &mut draws(Stream::Caption)),
            wrong,
        }
    }

    fn crop(&self, position: usize, draws: &mut Draws) -> View {
        let room = self.cfg.size.prepared() - self.cfg.size.crop();
        let offsets = match self.cfg.offsets {
            CropOffsets::AsReleased => room,
            CropOffsets::Inclusive => room + 1,
        } as u64;
        let (x, y) = (draws.below(offsets) as usize, draws.below(offsets) as usize);
        View { image: self.indices.get(position).copied().unwrap_or(0), x, y, mirrored: false }
    }

    fn choose_captions(&self, position: usize, draws: &mut Draws) -> Vec<usize> {
        let Captions { min, max } = self.cfg.captions;
        let (start, n) = self.captions.get(position).copied().unwrap_or((0, 0));
        let wanted = min + draws.below((max - min) as u64 + 1) as usize;
        let mut rows: Vec<usize> = (start..start + n).collect();
        let chosen = wanted.min(n);
        for i in 0..chosen {
            rows.swap(i, i + draws.below((n - i) as u64) as usize);
        }
        rows.truncate(chosen);
        rows
    }

    /// The position of the wrong picture.
    fn wrong(&self, position: usize, shift: usize, draws: &mut Draws) -> Option<usize> {
        let n = self.indices.len();
        match self.cfg.wrong {
            WrongPairs::None => None,
            WrongPairs::AsReleased => {
                let drawn = draws.below(n as u64) as usize;
                let same = self.classes.get(drawn) == self.classes.get(position);
                Some(if same { (drawn + shift) % n } else { drawn })
            }
            WrongPairs::OtherClass => {
                // All positions except those of the sample's class: exact, without rejection.
                let (from, to) = self.class_span.get(position).copied()?;
                let drawn = draws.below((n - (to - from)) as u64) as usize;
                let place = if drawn < from { drawn } else { drawn + (to - from) };
                self.by_class.get(place).copied()
            }
        }
    }

    fn order_of(&self, epoch: u64) -> Arc<Vec<u32>> {
        let mut cached = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, order)) = cached.as_ref()
            && *of == epoch
        {
            return Arc::clone(order);
        }
        let order = Arc::new(self.noise.permutation(Stream::Order, epoch, self.indices.len()));
        *cached = Some((epoch, Arc::clone(&order)));
        order
    }
}

#[cfg(test)]
mod tests;
