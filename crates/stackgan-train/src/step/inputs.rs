//! The inputs of a step: a batch and the noise, as tensors on the device.

use candle_core::{Device, Error, Result, Tensor};
use stackgan_core::generator_noise::{Draw, GENERATOR_STEP, GeneratorNoise, SAMPLING};
use stackgan_core::noise::Noise;

use crate::config::TrainConfig;
use crate::diff_augment;
use crate::ranges::LARGEST_BATCH;

/// Everything that a step receives from outside.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Pictures and texts.
    pub batch: Batch,
    /// The noise of both players' fakes.
    pub noise: StepNoise,
}

/// A batch on the device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Real pictures `(batch, 3, size, size)` in [-1, 1].
    pub real: Tensor,
    /// Pictures that do not match the text, same shape as `real`. Only in `residual`, and not with
    /// `data.wrong = "none"`; `plain` shifts the text instead.
    pub wrong: Option<Tensor>,
    /// Embeddings `(batch, text_dim)` of the real pictures' captions.
    pub text: Tensor,
    /// For each picture, the index of the sample whose text makes its wrong pair, `(batch,)`,
    /// counted from the first sample of its part. Only in `plain` with checked classes.
    pub other_text: Option<Tensor>,
}

/// The noise of one step.
#[derive(Clone, Debug)]
pub struct StepNoise {
    /// Noise of the fake on which D is trained.
    pub d: GeneratorNoise,
    /// Noise of the fake on which G is trained (`residual`; `plain` uses one fake for both). With
    /// `loss.mode_seeking` the fake is compared with one of the other player's `z`, in both recipes.
    pub g: GeneratorNoise,
    /// The random values of [`crate::diff_augment`], `(batch, 4, 7)`. Only with
    /// `knobs.diff_augment`.
    pub augment: Option<Tensor>,
}

impl StepNoise {
    /// Draws the noise of `step` for a batch of `batch` samples, at most 65536, with the run's seed
    /// and scales.
    ///
    /// # Errors
    /// When there are more, or the tensors cannot be created.
    pub fn draw(cfg: &TrainConfig, step: u64, batch: usize, device: &Device) -> Result<Self> {
        if batch > LARGEST_BATCH {
            candle_core::bail!(
                "the noise of a step: expected at most {LARGEST_BATCH} samples, found {batch}"
            );
        }
        let noise = Noise::new(cfg.seed);
        let samples: Vec<u64> = (0..batch as u64).collect();
        let of = Draw { net: &cfg.net, epsilon: cfg.noise.epsilon, device };
        let draw = |streams| {
            let drawn = GeneratorNoise::draw(noise, streams, step, &samples, &of)?;
            drawn.scaled(cfg.train_scales())
        };
        let augment = cfg
            .knobs
            .diff_augment
            .any()
            .then(|| diff_augment::draw(noise, step, (batch, cfg.stage.side()), device));
        Ok(Self { d: draw(SAMPLING)?, g: draw(GENERATOR_STEP)?, augment: augment.transpose()? })
    }

    /// Applies `f` to every tensor.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn map(&self, mut f: impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let mut of = |GeneratorNoise { z, eps1, eps2 }: &GeneratorNoise| {
            Ok::<_, Error>(GeneratorNoise { z: f(z)?, eps1: f(eps1)?, eps2: f(eps2)? })
        };
        let (d, g) = (of(&self.d)?, of(&self.g)?);
        Ok(Self { d, g, augment: self.augment.as_ref().map(f).transpose()? })
    }
}

impl Inputs {
    /// The floating-point inputs with their names, in the order of [`Self::map`].
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        let (batch, StepNoise { d, g, augment }) = (&self.batch, &self.noise);
        let wrong = batch.wrong.as_ref().map(|wrong| ("input.wrong", wrong));
        let noise = [
            ("input.d.z", &d.z),
            ("input.d.eps1", &d.eps1),
            ("input.d.eps2", &d.eps2),
            ("input.g.z", &g.z),
            ("input.g.eps1", &g.eps1),
            ("input.g.eps2", &g.eps2),
        ];
        let pictures = [("input.real", &batch.real), ("input.text", &batch.text)];
        let augment = augment.as_ref().map(|augment| ("input.augment", augment));
        pictures.into_iter().chain(wrong).chain(noise).chain(augment)
    }

    /// All inputs with their names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        let other = self.batch.other_text.as_ref().map(|other| ("input.other_text", other));
        self.numbers().chain(other)
    }

    /// The inputs that have these names; `of` returns the tensor of a name, if there is one.
    ///
    /// # Errors
    /// `missing` for an input that every step has.
    pub(crate) fn from_named<E>(
        of: impl Fn(&str) -> Option<Tensor>,
        missing: impl Fn(&str) -> E,
    ) -> std::result::Result<Self, E> {
        let get = |name: &str| of(name).ok_or_else(|| missing(name));
        let noise = |player: &str| {
            let part = |part: &str| get(&format!("input.{player}.{part}"));
            Ok(GeneratorNoise { z: part("z")?, eps1: part("eps1")?, eps2: part("eps2")? })
        };
        let batch = Batch {
            real: get("input.real")?,
            wrong: of("input.wrong"),
            text: get("input.text")?,
            other_text: of("input.other_text"),
        };
        let noise = StepNoise { d: noise("d")?, g: noise("g")?, augment: of("input.augment") };
        Ok(Self { batch, noise })
    }

    /// Applies `f` to every input.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn map(&self, mut f: impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let batch = Batch {
            real: f(&self.batch.real)?,
            text: f(&self.batch.text)?,
            wrong: self.batch.wrong.as_ref().map(&mut f).transpose()?,
            other_text: self.batch.other_text.as_ref().map(&mut f).transpose()?,
        };
        Ok(Self { batch, noise: self.noise.map(f)? })
    }
}

/// For each sample, the next one in the batch (cyclically) of another class, or simply the next one
/// if there is none.
#[must_use]
pub fn next_of_other_class(classes: &[u32]) -> Vec<u32> {
    let n = classes.len();
    let after = |i: usize| (1..n).map(move |by| (i + by) % n);
    let other = |i: usize| after(i).find(|&j| classes.get(j) != classes.get(i));
    (0..n).map(|i| other(i).unwrap_or((i + 1) % n.max(1)) as u32).collect()
}
