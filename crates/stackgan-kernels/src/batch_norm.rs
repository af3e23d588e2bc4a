//! Batch normalisation of rows `(N, C)` fused with its activation. Maps have their own.
//!
//! The forward pass reads the input twice: once for the sums and once to normalise. The sums are
//! accumulated in `f64` over values shifted by the channel's first value, which avoids
//! cancellation. The backward pass reads it twice too: once for the two sums and once for the
//! gradient. It recomputes the mask of the activation from `x` with the same expression as the
//! forward pass.

mod passes;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use crate::geometry::BatchNormShape;
use crate::{Activation, BatchStatistics, Norm, Statistics, fast, reference};
use passes::{Feature, Gradients};

impl Norm<'_> {
    /// Normalises `x (N, C)` or `(N, C, H, W)`; the result has the same shape.
    ///
    /// # Errors
    /// Wrong ranks or sizes, with the shapes; a single value per channel in a part of the batch.
    pub fn apply(&self, x: &Tensor, statistics: Statistics) -> Result<Tensor> {
        let shape = BatchNormShape::new(x)?;
        self.check(shape.channels)?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() && x.dtype() == candle_core::DType::F32 {
            return crate::cuda::batch_norm(x, self, statistics);
        }
        match (statistics, statistics.parts(shape.images, shape.plane)?) {
            (Statistics::Running, _) => by_running(x, self, &shape),
            (Statistics::OfBatch { .. }, 1) => {
                let (y, batch) = by_batch(x, self, &shape)?;
                self.follow(&batch)?;
                Ok(y)
            }
            (Statistics::OfBatch { .. }, parts) => {
                let one = Statistics::OfBatch { parts: 1 };
                let each = x.chunk(parts, 0)?.into_iter().map(|part| self.apply(&part, one));
                Tensor::cat(&each.collect::<Result<Vec<_>>>()?, 0)
            }
        }
    }
}

/// Normalises by the statistics of the batch itself. The gradient flows through them.
fn by_batch(
    x: &Tensor,
    norm: &Norm<'_>,
    shape: &BatchNormShape,
) -> Result<(Tensor, BatchStatistics)> {
    let Norm { gamma, beta, eps, activation, .. } = *norm;
    if !fast_form(shape, &[x, gamma, beta]) {
        return reference::batch_norm_train(x, gamma, beta, eps, activation);
    }
    let x = x.contiguous()?;
    let (mean, variance): (Vec<f32>, Vec<f32>) = {
        let (storage, layout) = x.storage_and_layout();
        passes::statistics(fast::locked(&storage, layout)?, shape.channels).into_iter().unzip()
    };
    let op = Op { through: true, moments: moments(&mean, &variance, eps), activation };
    let statistics = BatchStatistics {
        mean: Tensor::from_vec(mean, shape.channels, x.device())?,
        variance: Tensor::from_vec(variance, shape.channels, x.device())?,
        count: shape.count(),
    };
    Ok((x.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?, statistics))
}

/// Normalises by the running statistics, which receive no gradient.
fn by_running(x: &Tensor, norm: &Norm<'_>, shape: &BatchNormShape) -> Result<Tensor> {
    let Norm { gamma, beta, eps, activation, .. } = *norm;
    let mean = &norm.running_mean.as_detached_tensor();
    let variance = &norm.running_var.as_detached_tensor();
    if !fast_form(shape, &[x, gamma, beta, mean, variance]) {
        return reference::batch_norm_eval(x, gamma, beta, (mean, variance), eps, activation);
    }
    let (mean, variance) = (mean.to_vec1::<f32>()?, variance.to_vec1::<f32>()?);
    let op = Op { through: false, moments: moments(&mean, &variance, eps), activation };
    x.contiguous()?.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)
}

fn fast_form(shape: &BatchNormShape, tensors: &[&Tensor]) -> bool {
    shape.plane == 1 && fast::applies(tensors)
}

struct Op {
    /// Whether the gradient flows through the statistics.
    through: bool,
    /// Mean and reciprocal standard deviation of each channel.
    moments: Vec<(f32, f32)>,
    activation: Activation,
}

/// Returns the mean and reciprocal standard deviation of each channel.
fn moments(mean: &[f32], variance: &[f32], eps: f64) -> Vec<(f32, f32)> {
    mean.iter()
        .zip(variance)
        .map(|(mean, variance)| (*mean, (1. / (f64::from(*variance) + eps).sqrt()) as f32))
        .collect()
}

impl Op {
    fn features(&self, gamma: &[f32], beta: &[f32]) -> Vec<Feature> {
        self.moments
            .iter()
            .zip(gamma.iter().zip(beta))
            .map(|((mean, inverse), (gamma, beta))| Feature {
                mean: *mean,
                inverse: *inverse,
                scale: gamma * inverse,
                beta: *beta,
            })
            .collect()
    }
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let features =
            self.features(fast::values(gamma, gamma_layout)?, fast::values(beta, beta_layout)?);
        let x = fast::values(x, x_layout)?;
        let y = passes::normalise(x, &features, self.activation.slope());
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let features = self.features(&gamma.to_vec1()?, &beta.to_vec1()?);
        let slope = self.activation.slope();
        let (x_storage, x_layout) = x.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let values = fast::locked(&x_storage, x_layout)?;
        let dy = fast::locked(&grad_storage, grad_layout)?;

        let through_statistics = self.through && x.track_op();
        let sums = if through_statistics || gamma.track_op() || beta.track_op() {
            passes::gradient_sums(values, dy, &features, slope)
        } else {
            vec![Gradients::default(); features.len()]
        };
        let dx = if x.track_op() {
            let through = if through_statistics { &sums[..] } else { &[] };
            let dx = passes::input_gradient(values, dy, &features, through, slope);
            Some(Tensor::from_vec(dx, x.shape(), x.device())?)
        } else {
            None
        };
        let vector = |wanted: &Tensor, value: fn(&Gradients) -> f64| {
            wanted
                .track_op()
                .then(|| {
                    let values: Vec<f32> = sums.iter().map(|s| value(s) as f32).collect();
                    Tensor::from_vec(values, sums.len(), x.device())
                })
                .transpose()
        };
        Ok((dx, vector(gamma, |s| s.gamma)?, vector(beta, |s| s.beta)?))
    }
}
