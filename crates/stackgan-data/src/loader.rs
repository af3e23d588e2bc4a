//! Reads planned batches ahead of time, on several threads, and returns them in order.
//!
//! A batch is a function of its step's plan and the files, so the thread that makes it and the time
//! do not matter. The threads take turns: of n threads, each makes every n-th step. At most
//! `prefetch` batches are waiting or being made. The threads end when the loader is dropped.

use crate::embeddings::Embeddings;
use crate::plan::{Plan, StepPlan, View};
use crate::prepared::Prepared;
use crate::{Error, Result};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// One batch of training.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The step of the batch.
    pub step: u64,
    /// The epoch of the step, from zero.
    pub epoch: u64,
    /// Side of the pictures: 64 or 256.
    pub size: usize,
    /// Pictures (B, 3, size, size) as bytes; networks see them [`scaled`].
    pub images: Vec<u8>,
    /// The wrong pictures, in the same form, if the plan has them.
    pub wrong: Option<Vec<u8>>,
    /// (B, D): the mean embedding of each sample's captions, if the loader was given embeddings.
    pub embeddings: Option<Vec<f32>>,
    /// D, or zero without embeddings.
    pub dim: usize,
    /// The pictures' indices in the prepared file.
    pub indices: Vec<usize>,
}

/// Maps a byte of a picture to the networks' range [-1, 1] (TensorFlow release, `misc/datasets.py`,
/// `transform`).
#[must_use]
pub fn scaled(byte: u8) -> f32 {
    f32::from(byte) * SCALE - 1.0
}

/// The factor of [`scaled`].
pub const SCALE: f32 = 2.0 / 255.0;

/// Largest number of batches made ahead.
const PREFETCH: usize = 1024;

/// Settings of a loader, none of which changes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// The first step that [`Loader::next`] returns: zero, or the step from which a run resumes.
    pub first_step: u64,
    /// Number of batches made ahead, at most 1,024. With zero, each batch is made on request, without
    /// threads.
    pub prefetch: usize,
    /// Number of threads that make batches.
    pub threads: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self { first_step: 0, prefetch: 4, threads: 2 }
    }
}

/// Returns the batches of a plan in order, without end.
#[derive(Debug)]
pub struct Loader {
    source: Arc<Source>,
    /// What each thread makes, in the order of its steps.
    made: Vec<Receiver<Result<Batch>>>,
    threads: Vec<JoinHandle<()>>,
    first: u64,
    next: u64,
}

impl Loader {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the embeddings are not those of `data`, the first step is 2^63 or above, or a thread cannot be
    /// started.
    pub fn start(
        data: Arc<Prepared>,
        embeddings: Option<Arc<Embeddings>>,
        plan: Plan,
        cfg: LoaderConfig,
    ) -> Result<Self> {
        if let Some(embeddings) = &embeddings {
            embeddings.check(&data)?;
        }
        let LoaderConfig { first_step: first, prefetch, threads } = cfg;
        if first > u64::MAX >> 1 {
            let pair = ("a step below 2^63", first.to_string());
            return Err(Error::config(
                "the loader cannot start there",
                pair,
                "give another first step",
            ));
        }
        let prefetch = prefetch.min(PREFETCH);
        let source = Arc::new(Source { data, embeddings, plan });
        let mut loader = Self { source, made: Vec::new(), threads: Vec::new(), first, next: first };
        let n = threads.max(1).min(prefetch);
        for (i, start) in (0..n).zip(first..) {
            // One batch more is being made, or waits for room.
            let room = prefetch / n + usize::from(i < prefetch % n) - 1;
            let (done, made) = sync_channel(room);
            let source = Arc::clone(&loader.source);
            let thread = std::thread::Builder::new()
                .name(format!("loader-{i}"))
                .spawn(move || {
                    for step in (start..).step_by(n) {
                        if done.send(source.batch(step)).is_err() {
                            return; // the loader is gone
                        }
                    }
                })
                .map_err(|e| Error::read(loader.source.data.path(), e))?;
            loader.made.push(made);
            loader.threads.push(thread);
        }
        Ok(loader)
    }

    /// Returns the batch of the next step. An error belongs to its step; the next call continues
    /// with the following step. A panic ends its thread, whose later steps are errors too.
    ///
    /// # Errors
    /// When a file cannot be read.
    #[expect(
        clippy::should_implement_trait,
        reason = "batches have no end, and errors do not end them"
    )]
    pub fn next(&mut self) -> Result<Batch> {
        let step = self.next;
        self.next += 1;
        let Some(turn) = (step - self.first).checked_rem(self.made.len() as u64) else {
            return self.source.batch(step); // there are no threads
        };
        let made = self.made.get(turn as usize).and_then(|made| made.recv().ok());
        made.unwrap_or_else(|| {
            Err(Error::malformed(
                self.source.data.path(),
                "making a batch failed",
                format!("step {step}"),
                ("a batch", "a panic; this is a bug in the loader"),
                "please report it with the command that was run",
            ))
        })
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.made.clear(); // threads end when nobody receives
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // its panic was already returned as an error
        }
    }
}

#[derive(Debug)]
struct Source {
    data: Arc<Prepared>,
    embeddings: Option<Arc<Embeddings>>,
    plan: Plan,
}

impl Source {
    fn batch(&self, step: u64) -> Result<Batch> {
        let StepPlan { step, epoch, samples } = self.plan.step(step);
        let size = self.plan.config().size.crop();
        let views = |of: &mut dyn Iterator<Item = View>| {
            let mut pixels = Vec::with_capacity(samples.len() * 3 * size * size);
            for view in of {
                push_view(&self.data, view, size, &mut pixels)?;
            }
            Ok::<_, Error>(pixels)
        };
        let images = views(&mut samples.iter().map(|sample| sample.view))?;
        let wrong = views(&mut samples.iter().filter_map(|sample| sample.wrong))?;
        let embeddings = match &self.embeddings {
            None => None,
            Some(embeddings) => {
                let mut rows = Vec::with_capacity(samples.len() * embeddings.dim());
                for sample in &samples {
                    rows.extend(embeddings.mean(&sample.captions)?);
                }
                Some(rows)
            }
        };
        Ok(Batch {
            step,
            epoch,
            size,
            wrong: (wrong.len() == images.len()).then_some(wrong),
            images,
            embeddings,
            dim: self.embeddings.as_ref().map_or(0, |embeddings| embeddings.dim()),
            indices: samples.iter().map(|sample| sample.view.image).collect(),
        })
    }
}

/// Appends one picture as three planes of `size * size` bytes.
fn push_view(data: &Prepared, view: View, size: usize, pixels: &mut Vec<u8>) -> Result<()> {
    let side = data.size().prepared();
    let rows = data.rows(view.image, view.y..view.y + size)?;
    for channel in 0..3 {
        for row in rows.chunks_exact(side * 3) {
            let row = row.iter().skip(view.x * 3 + channel).step_by(3).take(size);
            if view.mirrored {
                let start = pixels.len();
                pixels.extend(row);
                if let Some(row) = pixels.get_mut(start..) {
                    row.reverse();
                }
            } else {
                pixels.extend(row);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::PictureSize;
    use crate::plan::{Captions, CropOffsets, Flip, PlanConfig, WrongPairs};
    use crate::testing::prepared;
    use stackgan_noise::{Noise, Stream};

    const RULES: PlanConfig = PlanConfig {
        batch: 6,
        size: PictureSize::Stage1,
        offsets: CropOffsets::Inclusive,
        captions: Captions { min: 1, max: 2 },
        wrong: WrongPairs::OtherClass,
        flip: Flip::Half,
    };

    struct Fixture {
        _dir: tempfile::TempDir,
        data: Arc<Prepared>,
        embeddings: Arc<Embeddings>,
    }

    fn fixture() -> Fixture {
        let (dir, _, data) = prepared(20, 3, PictureSize::Stage1);
        let path = dir.path().join("e");
        let numbers = Noise::new(1).normal(Stream::Test, 0, 0, data.caption_count() * 7);
        let mut writer = Embeddings::create(&path, 7, "e", &data).unwrap();
        writer.append(&numbers).unwrap();
        writer.finish().unwrap();
        Fixture {
            _dir: dir,
            data: Arc::new(data),
            embeddings: Arc::new(Embeddings::open(&path).unwrap()),
        }
    }

    fn loader(f: &Fixture, rules: PlanConfig, cfg: LoaderConfig) -> Loader {
        let plan = Plan::over(&f.data, (0..20).collect(), rules, Noise::new(5)).unwrap();
        Loader::start(Arc::clone(&f.data), Some(Arc::clone(&f.embeddings)), plan, cfg).unwrap()
    }

    #[test]
    fn threads_and_prefetch_change_nothing() {
        let f = fixture();
        let batches = |first_step, prefetch, threads, n: u64| -> Vec<Batch> {
            let mut loader = loader(&f, RULES, LoaderConfig { first_step, prefetch, threads });
            (0..n).map(|_| loader.next().unwrap()).collect()
        };
        let reference = batches(0, 0, 1, 30);
        assert!(reference.iter().map(|b| b.step).eq(0..30));
        for threads in [1, 2, 4] {
            for prefetch in [0, 1, 8] {
                assert!(batches(0, prefetch, threads, 30) == reference, "{threads} {prefetch}");
                assert!(batches(11, prefetch, threads, 19)[..] == reference[11..]);
            }
        }
        assert!(batches(0, usize::MAX, 2, 30) == reference);
    }

    #[test]
    fn a_batch_is_what_the_plan_says() {
        let f = fixture();
        let mut loader = loader(&f, RULES, LoaderConfig::default());
        for step in 0..6 {
            let (batch, plan) = (loader.next().unwrap(), loader.source.plan.step(step));
            assert_eq!((batch.size, batch.dim, batch.images.len()), (64, 7, 6 * 3 * 64 * 64));
            let wrong = batch.wrong.as_ref().unwrap();
            for (s, sample) in plan.samples.iter().enumerate() {
                assert_eq!(batch.indices[s], sample.view.image);
                for (view, pixels) in [(sample.view, &batch.images), (sample.wrong.unwrap(), wrong)]
                {
                    let bytes = f.data.image(view.image).unwrap();
                    for (c, y, x) in [(0, 0, 0), (2, 5, 63), (1, 63, 20), (0, 31, 32)] {
                        let column = view.x + if view.mirrored { 63 - x } else { x };
                        let byte = bytes[((view.y + y) * 76 + column) * 3 + c];
                        assert_eq!(pixels[((s * 3 + c) * 64 + y) * 64 + x], byte);
                    }
                }
                let mean = f.embeddings.mean(&sample.captions).unwrap();
                assert_eq!(batch.embeddings.as_ref().unwrap()[s * 7..][..7], mean);
            }
        }
    }

    #[test]
    fn bytes_are_scaled_to_minus_one_to_one() {
        assert_eq!((scaled(0), scaled(255)), (-1.0, 1.0));
        assert!((0..=255u8).all(|byte| scaled(byte) == f32::from(byte) * (2.0 / 255.0) - 1.0));
        assert!((0..255u8).all(|byte| scaled(byte) < scaled(byte + 1)));
    }

    #[test]
    fn without_wrong_pairs_and_embeddings_there_are_none() {
        let f = fixture();
        let rules = PlanConfig { wrong: WrongPairs::None, ..RULES };
        let plan = Plan::over(&f.data, (0..20).collect(), rules, Noise::new(5)).unwrap();
        let mut loader =
            Loader::start(Arc::clone(&f.data), None, plan, LoaderConfig::default()).unwrap();
        let batch = loader.next().unwrap();
        assert_eq!((batch.wrong, batch.embeddings, batch.dim), (None, None, 0));
    }

    #[test]
    fn errors_come_at_their_step_and_threads_end() {
        let f = fixture();
        let plan = Plan::over(&f.data, (0..20).collect(), RULES, Noise::new(5)).unwrap();
        // The plan contains pictures that a shorter file does not have.
        let (_dir, _, short) = prepared(12, 3, PictureSize::Stage1);
        let expected: Vec<bool> = (0..30)
            .map(|step| {
                let samples = plan.step(step).samples;
                samples.iter().all(|s| s.view.image < 12 && s.wrong.is_none_or(|w| w.image < 12))
            })
            .collect();
        let cfg = LoaderConfig { first_step: 0, prefetch: 5, threads: 3 };
        let mut loader = Loader::start(Arc::new(short), None, plan, cfg).unwrap();
        let found: Vec<bool> = (0..30).map(|_| loader.next().is_ok()).collect();
        assert_eq!(found, expected);
        assert!(found.contains(&false));
        let source = Arc::downgrade(&loader.source);
        drop(loader);
        assert!(source.upgrade().is_none()); // no thread holds a reference
    }

    #[test]
    fn a_thread_that_ended_is_an_error_at_its_steps() {
        let f = fixture();
        let cfg = LoaderConfig { first_step: 7, prefetch: 2, threads: 2 };
        let mut loader = loader(&f, RULES, cfg);
        loader.made[1] = sync_channel(0).1;
        assert_eq!(loader.next().unwrap().step, 7);
        let said = loader.next().unwrap_err().to_string();
        assert!(said.contains("making a batch failed") && said.contains("step 8"), "{said}");
        assert_eq!(loader.next().unwrap().step, 9);
    }
}
