//! The time of a step, of a grid and of a checkpoint, from those of the run's own networks.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::trial::{Effort, Timed, Trial};
use crate::Result;
use crate::samples::ROWS;

/// Batches that are timed on a CPU where the whole one would take too long.
const SMALL: [usize; 2] = [2, 6];

/// The effort for one of these.
const BRIEF: Effort = Effort { steps: 1, seconds: 0.0 };

/// The effort for the whole batch on a GPU.
const ON_GPU: Effort = Effort { steps: 3, seconds: 0.0 };

/// Fewest steps of a kind of the whole batch that are timed for a run whose time is given.
const LEAST: u32 = 2;

/// Steps that this takes in all, with that before the timed ones and those with the penalty.
const IN_ALL: f64 = 5.0;

/// What a run does between its steps and a trial does not, as a factor: making tensors of batches, reporting. On two idle cores
/// steps of runs took 0.98 to 1.10 times as long as those of a trial (toy birds in both stages, and the preset `photo`).
const BETWEEN: f64 = 1.04;

/// The largest share of a run's time that they may take, as its inverse.
const TIMING: f64 = 20.0;

/// The share of a run's time for which steps are timed if they are short, as its inverse.
const LONGER: f64 = 50.0;

/// Most seconds of that.
const LONGEST: f64 = 120.0;

/// Durations in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Of one step.
    pub step: f64,
    /// Of one grid.
    pub grid: f64,
    /// Of one checkpoint with its model file.
    pub save: f64,
}

/// Seconds that a step takes on the device as it is now. On a CPU: steps of two small batches, and a straight line through
/// them; takes as long as about 24 pictures do. On a GPU, where small batches say little of large ones: steps of the whole
/// batch. A batch in parts takes as long as they do.
///
/// # Errors
/// [`crate::Error::Config`] when a setting is out of range; when memory cannot be had, or the device fails.
pub fn seconds_a_step(of: &Timed<'_>) -> Result<f64> {
    Ok(timed(of)?.0)
}

fn timed(of: &Timed<'_>) -> Result<(f64, Trial)> {
    let cfg = of.cfg;
    cfg.check()?;
    if !of.device.is_cpu() {
        let mut trial = Trial::new(of, cfg.optim.batch)?;
        return Ok((trial.seconds_a_step(ON_GPU)?, trial));
    }
    let (part, parts) = (cfg.micro_batch(), cfg.optim.batch as f64 / cfg.micro_batch() as f64);
    let [small, large] = SMALL.map(|batch| batch.min(part));
    let less = Trial::new(of, small)?.seconds_a_step(BRIEF)?;
    let mut trial = Trial::new(of, large)?;
    let more = trial.seconds_a_step(BRIEF)?;
    let slope = if large > small { ((more - less) / (large - small) as f64).max(0.0) } else { 0.0 };
    Ok((parts * (more + slope * (part as f64 - large as f64)), trial))
}

/// The speed of a run whose time is given, without that of its checkpoints.
#[derive(Debug)]
pub struct Speed {
    trial: Trial,
    step: f64,
    grid: f64,
}

impl Speed {
    /// Measures it for a run of so many seconds: on steps of the whole batch, for a fiftieth of that time and at most two minutes;
    /// as [`seconds_a_step`] where a few of them would take more than a twentieth of the time.
    ///
    /// # Errors
    /// As [`seconds_a_step`].
    pub fn measure(of: &Timed<'_>, seconds: f64) -> Result<Self> {
        let (mut step, mut trial) = timed(of)?;
        if IN_ALL * step <= seconds / TIMING {
            if of.device.is_cpu() {
                drop(trial); // before the other's memory is needed
                trial = Trial::new(of, of.cfg.optim.batch)?;
            }
            let longer = (seconds / LONGER).min(LONGEST);
            step = trial.seconds_a_step(Effort { steps: LEAST, seconds: longer })?;
        }
        let grid = trial.grid()?;
        Ok(Self { trial, step, grid })
    }

    /// The speed of a run whose grids have `more` rows than those of the dataset's captions.
    #[must_use]
    pub fn with_rows(self, more: usize) -> Self {
        Self { grid: self.grid * (ROWS as f64 + more as f64) / ROWS as f64, ..self }
    }

    /// Without the time of checkpoints.
    #[must_use]
    pub fn without_saves(&self) -> Pace {
        Pace { step: (BETWEEN * self.step).max(1e-6), grid: self.grid, save: 0.0 }
    }

    /// With that of a checkpoint in the empty folder `beside`, on the disk of the run. What it writes there stays.
    ///
    /// # Errors
    /// When the storage refuses.
    pub fn with_saves(&self, beside: &Path) -> Result<Pace> {
        Ok(Pace { save: self.trial.save(beside)?, ..self.without_saves() })
    }
}
