//! Gradient accumulation: a batch is processed in equal parts whose gradients are averaged.
//!
//! The loss is the mean over the batch, and the memory is that of one part. The result differs from
//! that of the whole batch: each part is normalised by its own statistics, the running statistics
//! are updated part by part, and wrong pairs of shifted texts stay within a part.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};
use stackgan_kernels::backward;

use super::config::StepConfig;
use super::inputs::{Batch, Inputs, StepNoise};
use super::stats::StepStats;
use crate::diff_augment::DiffAugment;

/// The inputs of one part of a step.
pub(super) struct Part {
    pub(super) batch: Batch,
    pub(super) noise: StepNoise,
    pub(super) augment: DiffAugment,
}

/// The parts of a batch in order: one, or as many as `micro_batch` requires. They are views.
///
/// # Errors
/// When the batch is empty, has not as many texts as pictures, or does not divide into parts.
pub(super) fn parts(inputs: &Inputs, cfg: &StepConfig) -> Result<Vec<Part>> {
    let (whole, n) = (inputs.batch.real.dim(0)?, cfg.knobs.micro_batch);
    let texts = inputs.batch.text.dim(0)?;
    if whole == 0 || texts != whole {
        candle_core::bail!(
            "a batch: expected one picture or more, and a text for each; found {whole} with {texts} texts"
        );
    }
    let part = |Inputs { batch, noise }: Inputs| {
        let augment = DiffAugment { policy: cfg.knobs.diff_augment, values: noise.augment.clone() };
        Part { batch, noise, augment }
    };
    if n == 0 || n >= whole {
        return Ok(vec![part(inputs.clone())]);
    }
    if !whole.is_multiple_of(n) {
        candle_core::bail!("a batch of {whole} pictures is not made of equal parts of {n}");
    }
    let cut = |first| Ok(part(inputs.map(|input| input.narrow(0, first, n))?));
    (0..whole).step_by(n).map(cut).collect()
}

/// The gradients of the mean over the parts.
#[derive(Default)]
pub(super) struct Gradients(Option<GradStore>);

impl Gradients {
    /// Adds the gradients of one part's loss, which is checked first.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`], if values are checked as the step goes; tensor errors.
    pub(super) fn add(
        &mut self,
        (name, loss): (&'static str, &Tensor),
        cfg: &StepConfig,
        stats: &mut StepStats,
    ) -> crate::Result<()> {
        stats.check(name, loss, cfg).map_err(|e| e.naming(name, stats.first_non_finite()))?;
        let grads = match stats.parts() {
            1 => backward(loss)?,
            parts => backward(&(loss * (1.0 / parts as f64))?)?,
        };
        match &mut self.0 {
            None => self.0 = Some(grads),
            Some(sum) => sum.extend(grads)?,
        }
        Ok(())
    }

    /// The accumulated gradients.
    ///
    /// # Errors
    /// When there was no part.
    pub(super) fn sum(self) -> Result<GradStore> {
        self.0.ok_or_else(|| candle_core::Error::Msg("a step of no pictures".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::config::{TrainConfig, preset};

    #[test]
    fn a_batch_has_pictures_and_a_text_for_each() {
        let cfg = TrainConfig::from_toml(preset("toy-stage1").unwrap()).unwrap();
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let parts = |pictures, texts| {
            let (real, text) = (zeros(&[pictures, 3, 64, 64]), zeros(&[texts, 9]));
            let noise = StepNoise::draw(&cfg, 0, pictures, &Device::Cpu).unwrap();
            let batch = Batch { real, wrong: None, text, other_text: None };
            let parts = parts(&Inputs { batch, noise }, &StepConfig::of(&cfg, 0, 1.0));
            parts.map(|parts| parts.len()).map_err(|error| error.to_string())
        };
        assert_eq!(parts(2, 2), Ok(1));
        for (pictures, texts) in [(0, 0), (0, 2), (2, 0)] {
            let error = parts(pictures, texts).unwrap_err();
            assert!(error.contains(&format!("found {pictures} with {texts} texts")), "{error}");
        }
    }
}
