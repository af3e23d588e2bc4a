//! The inputs of each step: a batch from the loader and the step's noise, as tensors on the device.
//!
//! The inputs of the next step may be made while a GPU computes the current one. This does not
//! change them by a bit. An error is returned at the step that it belongs to.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use stackgan_core::text::Standardise;
use stackgan_data::loader::{Batch as Loaded, Loader, LoaderConfig, SCALE, scaled};
use stackgan_data::prepared::Prepared;
use stackgan_kernels::gpu::{Gap, Sender};

use crate::Result;
use crate::config::{TrainConfig, Wrong};
use crate::setup::Setup;
use crate::standardise::standardised;
use crate::step::{Batch, Inputs, StepNoise, next_of_other_class};

/// Minimum number of bytes that a thread converts.
const PIECE: usize = 1 << 16;

/// What the loader had for one step.
pub(crate) struct Fed {
    pub(crate) step: u64,
    pub(crate) epoch: u64,
    /// The indices of the pictures in the prepared file.
    pub(crate) indices: Vec<usize>,
    pub(crate) inputs: Inputs,
}

/// Sends inputs to a GPU, and measures how long it waits for them.
struct OnGpu {
    pictures: Sender,
    numbers: Sender,
    gap: Gap,
}

/// Numbers of copies on their way: the pictures of a batch, and its texts and noise, and one more.
const COPIES: [usize; 2] = [3, 9];

impl OnGpu {
    fn new(device: &Device) -> candle_core::Result<Self> {
        let [pictures, numbers] = COPIES.map(|copies| Sender::new(device, copies));
        Ok(Self { pictures: pictures?, numbers: numbers?, gap: Gap::new(device)? })
    }
}

/// Returns the inputs of a run's steps in order.
pub(crate) struct Feed {
    loader: Loader,
    dataset: Arc<Prepared>,
    config: TrainConfig,
    standardise: Option<Standardise>,
    device: Device,
    gpu: Option<OnGpu>,
    /// The steps whose inputs have not been returned.
    steps: Range<u64>,
    ahead: Option<Result<Fed>>,
    spent: Duration,
}

impl Feed {
    /// Starts the loader. No inputs are made beyond the end of `steps`.
    pub(crate) fn start(
        setup: &Setup,
        standardise: Option<Standardise>,
        steps: Range<u64>,
    ) -> Result<Self> {
        let prefetch = setup.config.run.prefetch;
        let config = LoaderConfig { first_step: steps.start, prefetch, ..LoaderConfig::default() };
        let (dataset, embeddings) = (Arc::clone(&setup.dataset), Arc::clone(&setup.embeddings));
        Ok(Self {
            loader: Loader::start(Arc::clone(&dataset), Some(embeddings), setup.plan()?, config)?,
            dataset,
            config: setup.config.clone(),
            standardise,
            device: setup.device.clone(),
            gpu: setup.device.is_cuda().then(|| OnGpu::new(&setup.device)).transpose()?,
            steps,
            ahead: None,
            spent: Duration::ZERO,
        })
    }

    /// Returns the inputs of the next step.
    pub(crate) fn next(&mut self) -> Result<Fed> {
        self.steps.start += 1;
        self.ahead.take().unwrap_or_else(|| self.make())
    }

    /// Makes the inputs of the next step ahead of time, if there is one.
    pub(crate) fn prepare(&mut self) {
        if self.ahead.is_none() && !self.steps.is_empty() {
            self.ahead = Some(self.make());
        }
    }

    /// The time that the device spent waiting for batches since the last call.
    ///
    /// On a CPU this is the time taken to wait for the loader and make tensors. A GPU computes
    /// meanwhile, so it is the time from the end of its queued work until the next batch had
    /// arrived.
    pub(crate) fn spent(&mut self) -> Duration {
        match &mut self.gpu {
            None => std::mem::take(&mut self.spent),
            Some(gpu) => gpu.gap.take(),
        }
    }

    fn make(&mut self) -> Result<Fed> {
        let started = Instant::now();
        if let Some(gpu) = &mut self.gpu {
            gpu.gap.open()?;
        }
        let inputs = match self.loader.next() {
            Ok(batch) => self.inputs(batch),
            Err(error) => Err(error.into()),
        };
        if let Some(gpu) = &mut self.gpu {
            gpu.gap.close()?;
        }
        self.spent += started.elapsed();
        inputs
    }

    fn inputs(&mut self, batch: Loaded) -> Result<Fed> {
        let pictures = self.batch(&batch)?;
        let (cfg, step) = (&self.config, batch.step);
        let mut noise = StepNoise::draw(cfg, step, cfg.optim.batch, &Device::Cpu)?;
        if let Some(OnGpu { numbers, .. }) = &mut self.gpu {
            noise = noise.map(|drawn| {
                numbers.send(&drawn.flatten_all()?.to_vec1::<f32>()?, drawn.shape().clone())
            })?;
        }
        let inputs = Inputs { batch: pictures, noise };
        Ok(Fed { step, epoch: batch.epoch, indices: batch.indices, inputs })
    }

    fn batch(&mut self, batch: &Loaded) -> Result<Batch> {
        let n = batch.indices.len();
        let shape = [n, 3, batch.size, batch.size];
        let text = batch.embeddings.as_deref().unwrap_or_default();
        let text = match &mut self.gpu {
            None => Tensor::from_slice(text, (n, batch.dim), &self.device)?,
            Some(gpu) => gpu.numbers.send(text, (n, batch.dim))?,
        };
        let mut tensor = |bytes: &Vec<u8>| match &mut self.gpu {
            None => scaled_here(bytes, shape),
            Some(gpu) => scaled_there(&gpu.pictures.send(bytes, &shape)?),
        };
        Ok(Batch {
            real: tensor(&batch.images)?,
            wrong: batch.wrong.as_ref().map(&mut tensor).transpose()?,
            text: standardised(self.standardise.as_ref(), text)?,
            other_text: self.other_text(batch)?,
        })
    }

    /// The indices of the texts for class-checked wrong pairs of the `plain` recipe.
    fn other_text(&self, batch: &Loaded) -> candle_core::Result<Option<Tensor>> {
        if self.config.data.wrong != Wrong::NextTextOtherClass {
            return Ok(None);
        }
        let class = |&i: &usize| self.dataset.classes().get(i).copied().unwrap_or_default();
        let classes: Vec<u32> = batch.indices.iter().map(class).collect();
        let parts = classes.chunks(self.config.micro_batch());
        let others: Vec<u32> = parts.flat_map(next_of_other_class).collect();
        Tensor::from_vec(others, classes.len(), &self.device).map(Some)
    }
}

/// Converts pictures of bytes to the networks' range on the host.
fn scaled_here(bytes: &[u8], shape: [usize; 4]) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = bytes.par_iter().with_min_len(PIECE).map(|&byte| scaled(byte)).collect();
    Tensor::from_vec(values, &shape, &Device::Cpu)
}

/// Applies [`scaled`] on the device, equal to the bit. It uses two operations, because a fused
/// multiply-add may round only once.
fn scaled_there(bytes: &Tensor) -> candle_core::Result<Tensor> {
    (bytes.to_dtype(DType::F32)? * f64::from(SCALE))? - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_the_same_numbers_on_the_host_and_by_operations() {
        let bytes: Vec<u8> = (0..3 * 256u32).map(|i| (i * 7 % 256) as u8).collect();
        let shape = [1, 3, 16, 16];
        let here = scaled_here(&bytes, shape).unwrap();
        let there =
            scaled_there(&Tensor::from_slice(&bytes, &shape, &Device::Cpu).unwrap()).unwrap();
        let bits = |t: &Tensor| -> Vec<u32> {
            let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values.into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(bits(&here), bits(&there));
        assert_eq!(here.dims(), shape);
        let one_by_one: Vec<u32> = bytes.iter().map(|&byte| scaled(byte).to_bits()).collect();
        assert_eq!(bits(&here), one_by_one);
    }
}
