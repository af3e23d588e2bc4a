//! The training speed of a stage on this machine, and the number of steps that fit in its time.

use std::time::Instant;

use anyhow::Result;
use stackgan_train::config::TrainConfig;
use stackgan_train::event::TrainEvent;
use stackgan_train::policy::Resume;
use stackgan_train::run::{Setup, train};
use stackgan_train::run_dir::RunDir;

/// Durations in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Of one step.
    pub step: f64,
    /// Of one grid.
    pub grid: f64,
    /// Of one checkpoint with its model file.
    pub save: f64,
}

/// Times `steps` steps, a grid and a checkpoint in a temporary folder.
pub(super) fn measure(mut setup: Setup, steps: u64) -> Result<Pace> {
    let config = &mut setup.config;
    (config.optim.steps, config.optim.epochs) = (steps.max(2), 0);
    (config.run.report_every, config.run.sample_every) = (steps.max(2), steps.max(2));
    config.run.checkpoint_every = steps.max(2);
    // The penalty takes longer than a step and is only due at intervals. If it was not timed often
    // enough, its share is added.
    let (every, penalised) = (config.loss.r1.every, config.loss.r1.gamma > 0.0);
    let rare = if penalised && steps <= every { 1.12 } else { 1.0 };
    let folder = tempfile::tempdir()?;
    let dir = RunDir::open(folder.path())?;
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

impl Pace {
    /// Sets the length of a run of about `seconds` seconds, with two checkpoints and at most
    /// `grids` grids, which may take an eighth of the time.
    pub(super) fn fit(&self, config: &mut TrainConfig, seconds: f64, grids: u64) {
        let affordable = (seconds / 8.0 / self.grid.max(1e-3)) as u64;
        let grids = grids.min(affordable).max(2); // also half way, for a run that is cut short
        let beside = self.grid * grids as f64 + 2.0 * self.save;
        let steps = ((seconds - beside) / self.step).clamp(4.0, 1e7) as u64;
        (config.optim.steps, config.optim.epochs) = (steps, 0);
        config.run.sample_every = steps.div_ceil(grids);
        config.run.checkpoint_every = steps.div_ceil(2);
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
        let pace = Pace { step: 0.1, grid: 2.0, save: 0.5 };
        pace.fit(&mut config, 121.0, 5);
        assert_eq!((config.optim.steps, config.run.sample_every), (1100, 220));
        config.check().unwrap();
        pace.fit(&mut config, 33.0, 5); // two grids take an eighth of it
        assert_eq!((config.optim.steps, config.run.sample_every), (280, 140));
        config.check().unwrap();
        pace.fit(&mut config, 1.0, 10);
        assert_eq!(config.optim.steps, 4, "never without a step");
        config.check().unwrap();
    }
}
