//! What a step is fed with: a batch of the loader and the step's noise, as tensors on the device.
//!
//! Those of one step may be made ahead, while a GPU computes the step before; that changes no bit of them. An error comes at its
//! step.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use stackgan_core::noise::Noise;
use stackgan_core::text::Standardise;
use stackgan_data::loader::{Batch, Loader, LoaderConfig, SCALE, scaled};
use stackgan_data::plan::Plan;
use stackgan_data::prepared::Prepared;
use stackgan_kernels::gpu::{Gap, Sender};

use crate::Result;
use crate::config::{TrainConfig, Wrong};
use crate::run::Setup;
use crate::step::{Pictures, StepNoise, next_of_other_class};

/// Bytes that a thread scales at least.
const PIECE: usize = 1 << 16;

/// What one step is taken with.
pub(crate) struct Inputs {
    pub(crate) step: u64,
    pub(crate) epoch: u64,
    /// The pictures' indices in the prepared file.
    pub(crate) indices: Vec<usize>,
    pub(crate) pictures: Pictures,
    pub(crate) noise: StepNoise,
}

/// Hands out the inputs of a run's steps in order.
pub(crate) struct Feed {
    loader: Loader,
    dataset: Arc<Prepared>,
    config: TrainConfig,
    standardise: Option<Standardise>,
    device: Device,
    /// To a GPU, and how long it waits for what comes.
    gpu: Option<(Sender, Gap)>,
    /// Those that have not been handed out.
    steps: Range<u64>,
    ahead: Option<Result<Inputs>>,
    spent: Duration,
}

impl Feed {
    /// Starts the loader. Nothing is made ahead for the end of `steps`.
    pub(crate) fn start(
        setup: &Setup,
        plan: Plan,
        standardise: Option<Standardise>,
        steps: Range<u64>,
    ) -> Result<Self> {
        let prefetch = setup.config.run.prefetch;
        let config = LoaderConfig { first_step: steps.start, prefetch, ..LoaderConfig::default() };
        let (dataset, embeddings) = (Arc::clone(&setup.dataset), Arc::clone(&setup.embeddings));
        Ok(Self {
            loader: Loader::start(Arc::clone(&dataset), Some(embeddings), plan, config)?,
            dataset,
            config: setup.config.clone(),
            standardise,
            device: setup.device.clone(),
            gpu: setup.device.is_cuda().then(|| on_gpu(&setup.device)).transpose()?,
            steps,
            ahead: None,
            spent: Duration::ZERO,
        })
    }

    /// Those of the next step.
    pub(crate) fn next(&mut self) -> Result<Inputs> {
        self.steps.start += 1;
        self.ahead.take().unwrap_or_else(|| self.make())
    }

    /// Makes those of the next step ahead, if there is one.
    pub(crate) fn prepare(&mut self) {
        if self.ahead.is_none() && !self.steps.is_empty() {
            self.ahead = Some(self.make());
        }
    }

    /// The time that the device waited for batches since this was last asked: a CPU while the loader was waited for and tensors
    /// were made; a GPU, which computes meanwhile, from the end of what it had to do until the next batch was there.
    pub(crate) fn spent(&mut self) -> Duration {
        match &mut self.gpu {
            None => std::mem::take(&mut self.spent),
            Some((_, gap)) => gap.take(),
        }
    }

    fn make(&mut self) -> Result<Inputs> {
        let started = Instant::now();
        if let Some((_, gap)) = &mut self.gpu {
            gap.open()?;
        }
        let inputs = match self.loader.next() {
            Ok(batch) => self.inputs(batch),
            Err(error) => Err(error.into()),
        };
        if let Some((_, gap)) = &mut self.gpu {
            gap.close()?;
        }
        self.spent += started.elapsed();
        inputs
    }

    fn inputs(&mut self, batch: Batch) -> Result<Inputs> {
        let pictures = self.pictures(&batch)?;
        let (cfg, step) = (&self.config, batch.step);
        let net = (&cfg.net, cfg.noise.epsilon.into(), &self.device);
        let noise = Noise::new(cfg.seed);
        let noise = StepNoise::draw(noise, step, cfg.optim.batch, cfg.train_scales(), net)?;
        Ok(Inputs { step, epoch: batch.epoch, indices: batch.indices, pictures, noise })
    }

    fn pictures(&mut self, batch: &Batch) -> Result<Pictures> {
        let n = batch.indices.len();
        let shape = [n, 3, batch.size, batch.size];
        let text = batch.embeddings.as_deref().unwrap_or_default();
        let text = match &mut self.gpu {
            None => Tensor::from_slice(text, (n, batch.dim), &self.device)?,
            Some((sender, _)) => sender.send(text, (n, batch.dim))?,
        };
        let mut tensor = |bytes: &Vec<u8>| match &mut self.gpu {
            None => scaled_here(bytes, shape),
            Some((sender, _)) => scaled_there(&sender.send(bytes, &shape)?),
        };
        Ok(Pictures {
            real: tensor(&batch.images)?,
            wrong: batch.wrong.as_ref().map(&mut tensor).transpose()?,
            text: match &self.standardise {
                None => text,
                Some(standardise) => standardise.apply(&text)?,
            },
            other_text: self.other_text(batch)?,
        })
    }

    /// The plain recipe's wrong pairs, where their classes are checked.
    fn other_text(&self, batch: &Batch) -> candle_core::Result<Option<Tensor>> {
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

fn on_gpu(device: &Device) -> candle_core::Result<(Sender, Gap)> {
    Ok((Sender::new(device)?, Gap::new(device)?))
}

/// Pictures of bytes as the networks see them.
fn scaled_here(bytes: &[u8], shape: [usize; 4]) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = bytes.par_iter().with_min_len(PIECE).map(|&byte| scaled(byte)).collect();
    Tensor::from_vec(values, &shape, &Device::Cpu)
}

/// [`scaled`] on the device, to the bit: two operations, because a multiplication and an addition in one may be rounded once.
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
