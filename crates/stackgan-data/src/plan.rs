//! What is in each batch: which pictures, crops, flips, captions and wrong pictures. No picture is read here.
//!
//! A step's plan is a pure function of seed and step, so neither threads, nor prefetching, nor resuming can change
//! it. The rules of both recipes: FACTS 3.1 and 3.3; their oddities, each an option: LESSONS B1.5, B1.7.

use crate::crop::PictureSize;
use crate::prepared::Prepared;
use crate::{Error, Result};
use stackgan_noise::{Draws, Noise, Stream};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a random crop may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CropOffsets {
    /// `0..S - crop`: the `TensorFlow` release never takes the last offset (0 to 11, 0 to 47).
    AsReleased,
    /// `0..=S - crop`: all offsets (0 to 12, 0 to 48), as the `PyTorch` release.
    Inclusive,
}

/// How the captions of a picture become one embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptionRule {
    /// The mean of `min` to `max` captions, the number drawn uniformly, the captions without replacement, never
    /// more than there are. `residual`: 4 to 4; `plain`: 1 to 1.
    Mean {
        /// The fewest captions, at least 1.
        min: usize,
        /// The most captions.
        max: usize,
    },
}

/// Which picture is the wrong one for a caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongPairs {
    /// Differs from the release: any picture of any other class, uniformly.
    OtherClass,
    /// The `TensorFlow` release: any picture; if of the same class, the one 100 to 199 further (one number for
    /// the whole batch), not looked at again.
    AsReleased,
    /// No wrong pictures: the recipe pairs captions and pictures of the batch itself.
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
    /// Samples in a batch, at least 2 (batch norm has no variance in one).
    pub batch: usize,
    /// The size of the pictures, and with it of the crops.
    pub size: PictureSize,
    /// Where crops may begin.
    pub offsets: CropOffsets,
    /// How captions become embeddings.
    pub captions: CaptionRule,
    /// Which pictures are the wrong ones.
    pub wrong: WrongPairs,
    /// Whether pictures are mirrored.
    pub flip: Flip,
}

/// One picture as it is shown: its index, the corner of the crop, and whether it is mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The picture's index in the prepared file.
    pub image: usize,
    /// Left edge of the crop.
    pub x: usize,
    /// Upper edge of the crop.
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
    /// The wrong picture, if the recipe wants one.
    pub wrong: Option<View>,
}

/// What is in the batch of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepPlan {
    /// The step.
    pub step: u64,
    /// The epoch that the step belongs to, from zero.
    pub epoch: u64,
    /// The samples.
    pub samples: Vec<SamplePlan>,
}

/// The plan of a whole training. Steps have no end; epochs follow each other.
#[derive(Debug)]
pub struct Plan {
    cfg: PlanConfig,
    noise: Noise,
    indices: Vec<usize>,
    /// First caption row and number of captions, by position in `indices`.
    captions: Vec<(usize, usize)>,
    /// Class, by position in `indices`.
    classes: Vec<u32>,
    /// Positions in `indices`, sorted by class, and for each position its class's range among them.
    by_class: Vec<usize>,
    class_span: Vec<(usize, usize)>,
    /// The order of the latest epoch: a cache, no state.
    order: Mutex<Option<(u64, Arc<Vec<u32>>)>>,
}

impl Plan {
    /// A plan over the pictures `indices` of a dataset, whose pictures have these classes and numbers of captions.
    ///
    /// # Errors
    /// [`Error::Config`] when there are fewer samples than a batch, a batch has fewer than two, a picture has
    /// no captions, or no picture is of another class where one is needed.
    pub fn new(
        classes: &[u32],
        caption_counts: &[usize],
        indices: Vec<usize>,
        cfg: PlanConfig,
        noise: Noise,
    ) -> Result<Self> {
        let CaptionRule::Mean { min, max } = cfg.captions;
        let refuse = |what: &str, expected: String, found: String, remedy: &str| {
            Err(Error::config(what, (expected, found), remedy))
        };
        let most = indices.len();
        if most < 2 {
            let (expected, found) = ("2 or more".to_owned(), most.to_string());
            return refuse("there are too few pictures to train on", expected, found, "use more");
        }
        if cfg.batch < 2 || most < cfg.batch {
            let (expected, found) = (format!("2 to {most} pictures"), cfg.batch.to_string());
            let remedy = format!("give `--set optim.batch={}`, or use more pictures", most);
            return refuse("the batch does not fit the dataset", expected, found, &remedy);
        }
        if min == 0 || min > max {
            let found = format!("{min} to {max}");
            let remedy = "average 4 to 4 captions (residual) or 1 to 1 (plain)";
            return refuse(
                "numbers of captions make no sense",
                "1 or more".to_owned(),
                found,
                remedy,
            );
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
                    let remedy = "give each picture at least one caption";
                    return refuse(
                        "picture has no captions",
                        "at least one".to_owned(),
                        format!("none for picture {i}"),
                        remedy,
                    );
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
            return refuse(
                "no picture is of another class",
                "two classes".to_owned(),
                "one".to_owned(),
                remedy,
            );
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
    /// As [`Plan::new`]; also when the file's pictures have another size than `cfg` says.
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

    /// Steps of one epoch: whole batches only, the remainder is dropped.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        (self.indices.len() / self.cfg.batch) as u64
    }

    /// What is in the batch of `step`.
    #[must_use]
    pub fn step(&self, step: u64) -> StepPlan {
        let epoch = step / self.steps_per_epoch();
        let order = self.order_of(epoch);
        let first = (step % self.steps_per_epoch()) as usize * self.cfg.batch;
        // One number for the whole batch, as the release.
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
        let CaptionRule::Mean { min, max } = self.cfg.captions;
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
                // All positions but the span of the own class: exact, without drawing again.
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

/// Batches for training a text encoder: one picture and one caption of each of `batch` different classes, as the
/// structured joint embedding needs (FACTS 5.4).
#[derive(Debug)]
pub struct TextPlan {
    /// Pictures (index, first caption row, captions) by class.
    classes: Vec<Vec<(usize, usize, usize)>>,
    batch: usize,
}

impl TextPlan {
    /// A plan over some pictures of a prepared file; pictures without captions are left out.
    ///
    /// # Errors
    /// [`Error::Config`] when there are fewer classes than `batch`, or `batch` is below 2.
    pub fn over(data: &Prepared, indices: &[usize], batch: usize) -> Result<Self> {
        let mut groups = std::collections::BTreeMap::<u32, Vec<_>>::new();
        for &i in indices {
            let rows = data.caption_range(i);
            if let (Some(class), false) = (data.class(i), rows.is_empty()) {
                groups.entry(class).or_default().push((i, rows.start, rows.len()));
            }
        }
        if batch < 2 || groups.len() < batch {
            return Err(Error::config(
                "batch does not fit the dataset's classes",
                (format!("2 to {} classes a batch", groups.len()), batch.to_string()),
                "choose a smaller batch for the text encoder",
            ));
        }
        Ok(Self { classes: groups.into_values().collect(), batch })
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The batch of `step`: (picture, caption row) of different classes. A pure function of seed and step.
    #[must_use]
    pub fn class_batch(&self, noise: Noise, step: u64) -> Vec<(usize, usize)> {
        let mut draws = noise.draws(Stream::TextBatch, step, 0);
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        let mut batch = Vec::with_capacity(self.batch);
        for i in 0..self.batch.min(order.len()) {
            let j = i + draws.below((self.classes.len() - i) as u64) as usize;
            order.swap(i, j);
            let class = order.get(i).and_then(|&class| self.classes.get(class));
            if let Some(&(image, start, n)) = class.and_then(|class| draws.choose(class)) {
                batch.push((image, start + draws.below(n as u64) as usize));
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests;
