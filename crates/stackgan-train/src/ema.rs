//! A running average of a generator's variables. An option: `StackGAN++` used a decay of 0.999, the
//! releases of `StackGAN` have none.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var};
use stackgan_core::Params;
use stackgan_core::params::restore;
use stackgan_kernels::average_all;

/// Running averages of every variable of one network, including batch-norm statistics.
#[derive(Debug)]
pub(crate) struct Ema {
    decay: f64,
    slots: Vec<(String, Var, Var)>, // name, live, average
}

impl Ema {
    /// Creates averages that start at the current values.
    ///
    /// # Errors
    /// When memory for the averages cannot be allocated.
    pub(crate) fn new(params: &Params, decay: f64) -> Result<Self> {
        let slots = params
            .all()
            .into_iter()
            .map(|(name, live)| {
                let average = Var::from_tensor(&live.copy()?)?;
                Ok((name, live, average))
            })
            .collect::<Result<_>>()?;
        Ok(Self { decay, slots })
    }

    /// Updates the averages from the live values, after the network's step number `steps`, counted
    /// from 1.
    ///
    /// The decay is min(decay, steps / (9 + steps)): early averages are shorter, so that they forget
    /// the initial weights.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn follow(&self, steps: u64) -> Result<()> {
        let decay = self.decay.min(steps as f64 / (9.0 + steps as f64));
        let pairs = self.slots.iter().map(|(_, live, average)| (average, live.as_tensor()));
        average_all(&pairs.collect::<Vec<_>>(), decay)
    }

    /// The averages, by name.
    #[must_use]
    pub(crate) fn state(&self) -> BTreeMap<String, Tensor> {
        let averages = self.averages().into_iter();
        averages.map(|(name, average)| (name, average.as_detached_tensor())).collect()
    }

    /// Restores averages that [`Ema::state`] returned.
    ///
    /// # Errors
    /// Names the first tensor that is missing, unexpected or of the wrong shape; nothing is changed
    /// then.
    pub(crate) fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        restore("average", &self.averages(), state)
    }

    fn averages(&self) -> Vec<(String, Var)> {
        self.slots.iter().map(|(name, _, average)| (name.clone(), average.clone())).collect()
    }
}
