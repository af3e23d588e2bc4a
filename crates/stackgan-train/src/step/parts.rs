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
pub(super) fn parts(inputs: &Inputs, cfg: &StepConfig) -> Result<Vec<Part>> {
    let (whole, n) = (inputs.batch.real.dim(0)?, cfg.knobs.micro_batch);
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
