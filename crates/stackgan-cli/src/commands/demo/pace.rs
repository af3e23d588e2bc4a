//! The training speed of a stage on this machine, and the number of steps that fit in its time.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use stackgan_train::config::TrainConfig;
use stackgan_train::event::TrainEvent;
use stackgan_train::policy::Resume;
use stackgan_train::run::{Setup, train};
use stackgan_train::run_dir::RunDir;

/// Shortest time between two checkpoints in seconds, unless there would be fewer than two.
const SAVE_EVERY: f64 = 30.0;
/// Largest share of a run's time for checkpoints, as its inverse.
const SAVING: f64 = 32.0;
/// The same for grids.
const PAINTING: f64 = 8.0;

/// Durations in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Of one step.
    pub step: f64,
    /// Of one grid.
    pub grid: f64,
    /// Of one checkpoint with its model file.
    pub save: f64,
}

/// How long a stage trains. It is planned once: schedules are in steps, so a stage that was stopped
/// goes on with the same number of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Seconds that it may take.
    pub seconds: f64,
    /// The speed that was measured.
    pub pace: Pace,
}

/// Times `steps` steps, a grid and a checkpoint in the empty folder `beside`.
pub(super) fn measure(mut setup: Setup, steps: u64, beside: &Path) -> Result<Pace> {
    let config = &mut setup.config;
    (config.optim.steps, config.optim.epochs) = (steps.max(2), 0);
    (config.run.report_every, config.run.sample_every) = (steps.max(2), steps.max(2));
    config.run.checkpoint_every = steps.max(2);
    // The penalty takes longer than a step and is only due at intervals. If it was not timed often
    // enough, its share is added.
    let (every, penalised) = (config.loss.r1.every, config.loss.r1.gamma > 0.0);
    let rare = if penalised && steps <= every { 1.12 } else { 1.0 };
    let dir = RunDir::open(beside)?;
    let (mut marks, mut grid, mut save) = (Vec::new(), 0.0, 0.0);
    let mut last = Instant::now();
    train(setup, &dir, Resume::Never, &|| None, &mut |event| {
        let seconds = last.elapsed().as_secs_f64();
        match event {
            TrainEvent::Step { .. } => marks.push(seconds),
            TrainEvent::Samples { .. } => grid = seconds,
            TrainEvent::Checkpoint { .. } => save = seconds,
            _ => {}
        }
        last = Instant::now();
    })?;
    let timed = marks.get(1..).unwrap_or_default(); // the first step starts threads, fills caches
    let step = rare * timed.iter().sum::<f64>() / timed.len().max(1) as f64;
    Ok(Pace { step: step.max(1e-6), grid, save })
}

impl Plan {
    /// Whether the numbers can be those of a plan.
    pub(super) fn is_possible(&self) -> bool {
        let Pace { step, grid, save } = self.pace;
        step > 0.0 && [self.seconds, step, grid, save].iter().all(|s| s.is_finite() && *s >= 0.0)
    }

    /// Sets the length of a run to this plan, with checkpoints of which a kill loses little and at
    /// most `grids` grids.
    pub(super) fn fit(&self, config: &mut TrainConfig, grids: u64) {
        let Self { seconds, pace: Pace { step, grid, save } } = *self;
        let affordable = (seconds / PAINTING / grid.max(1e-3)) as u64;
        let grids = grids.min(affordable).max(2); // also half way, for a run that is cut short
        let affordable = (seconds / SAVING / save.max(1e-3)) as u64;
        let saves = affordable.min((seconds / SAVE_EVERY) as u64).max(2);
        let beside = grid * grids as f64 + save * saves as f64;
        let steps = ((seconds - beside) / step).clamp(4.0, 1e7) as u64;
        (config.optim.steps, config.optim.epochs) = (steps, 0);
        config.run.sample_every = steps.div_ceil(grids);
        config.run.checkpoint_every = steps.div_ceil(saves);
        config.run.report_every = (steps / 250).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackgan_train::config::preset;

    #[test]
    fn steps_fill_the_time_that_is_left() {
        let mut config = TrainConfig::from_toml(preset("toy-stage1").unwrap()).unwrap();
        let mut fitted = |seconds: f64, save: f64, grids: u64| {
            let plan = Plan { seconds, pace: Pace { step: 0.1, grid: 2.0, save } };
            assert!(plan.is_possible());
            plan.fit(&mut config, grids);
            config.check().unwrap();
            (config.optim.steps, config.run.sample_every, config.run.checkpoint_every)
        };
        assert_eq!(fitted(122.0, 0.5, 5), (1100, 220, 275), "a checkpoint every half minute");
        assert_eq!(fitted(121.0, 2.5, 5), (1060, 212, 530), "checkpoints take long");
        assert_eq!(fitted(33.0, 0.5, 5), (280, 140, 140), "two grids take an eighth of it");
        assert_eq!(fitted(1.0, 0.5, 10).0, 4, "never without a step");
        assert_eq!(fitted(1e300, 0.0, 10).0, 10_000_000);
    }
}
