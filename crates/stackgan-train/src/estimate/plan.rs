//! The length of a run whose time is given: the steps that fit in it, and what follows from their number.

use serde::{Deserialize, Serialize};

use super::time::Pace;
use crate::config::TrainConfig;
use crate::schedule::Decay;

/// Largest share of a run's time for checkpoints, as its inverse.
const SAVING: f64 = 32.0;
/// The same for grids.
const PAINTING: f64 = 8.0;
/// Fewest steps.
const STEPS: f64 = 4.0;
/// Lines of `stats.jsonl`.
const REPORTS: u64 = 250;

/// How long a run trains. It is planned once: schedules are in steps, so a run that was stopped goes on with the same
/// number of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Seconds that it may take.
    pub seconds: f64,
    /// The speed that was measured.
    pub pace: Pace,
}

/// What a run leaves as it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cadence {
    /// Most grids.
    pub grids: u64,
    /// Shortest time between two checkpoints in seconds, unless there would be fewer than two.
    pub save_every: f64,
}

/// The keys besides the length that a plan sets.
pub const FITTED: [&str; 4] = [SAMPLES, CHECKPOINTS, REPORTED, HALVINGS];

const SAMPLES: &str = "run.sample_every";
const CHECKPOINTS: &str = "run.checkpoint_every";
const REPORTED: &str = "run.report_every";
const HALVINGS: &str = "optim.decay.every";

/// What a plan leaves as it is, and what it needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Those of [`FITTED`] whose values were asked for.
    pub kept: Vec<&'static str>,
    /// Number of steps of an epoch, where it is known.
    pub steps_per_epoch: Option<u64>,
}

impl Plan {
    /// Whether the numbers can be those of a plan.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let Pace { step, grid, save } = self.pace;
        step > 0.0 && [self.seconds, step, grid, save].iter().all(|s| s.is_finite() && *s >= 0.0)
    }

    /// The seconds of the shortest run: four steps, and a grid and a checkpoint half way and at the end.
    #[must_use]
    pub fn least(&self) -> f64 {
        let Pace { step, grid, save } = self.pace;
        STEPS * step + 2.0 * (grid + save)
    }

    /// Sets the length of a run to this plan, with checkpoints of which a kill loses little, and a few grids. What counts in epochs,
    /// the halvings of the learning rate, shrinks or grows with the length, to one epoch at least. A linear decay is one of shares.
    pub fn fit(&self, config: &mut TrainConfig, cadence: Cadence, given: &Given) {
        let Self { seconds, pace: Pace { step, grid, save } } = *self;
        let affordable = (seconds / PAINTING / grid.max(1e-3)) as u64;
        let grids = cadence.grids.min(affordable).max(2); // also half way, for a run that is cut short
        let affordable = (seconds / SAVING / save.max(1e-3)) as u64;
        let saves = affordable.min((seconds / cadence.save_every) as u64).max(2);
        // Where the interval is given, their number grows with that of the steps; there is one at the end.
        let share = |key, each: f64, (count, every): (u64, u64)| match given.kept.contains(&key) {
            true => (each / every.max(1) as f64, each),
            false => (0.0, each * count as f64),
        };
        let painting = share(SAMPLES, grid, (grids, config.run.sample_every));
        let saving = share(CHECKPOINTS, save, (saves, config.run.checkpoint_every));
        let is_saved = |step: u64| step.is_multiple_of(config.run.checkpoint_every);
        let kept = match config.run.keep_every {
            0 => 0.0,
            every if given.kept.contains(&CHECKPOINTS) && is_saved(every) => 0.0,
            every => save / every as f64,
        };
        let each = step + painting.0 + saving.0 + kept;
        let steps = ((seconds - painting.1 - saving.1) / each).clamp(STEPS, 1e12) as u64;
        let before = given.steps_per_epoch.map_or(config.optim.steps, |n| config.total_steps(n));
        (config.optim.steps, config.optim.epochs) = (steps, 0);
        let mut set = |key, place: fn(&mut TrainConfig) -> &mut u64, every: u64| {
            if !given.kept.contains(&key) {
                *place(config) = every;
            }
        };
        set(SAMPLES, |config| &mut config.run.sample_every, steps.div_ceil(grids));
        set(CHECKPOINTS, |c| &mut c.run.checkpoint_every, steps.div_ceil(saves));
        set(REPORTED, |config| &mut config.run.report_every, (steps / REPORTS).max(1));
        if let Decay::Halve { every } = &mut config.optim.decay
            && before > 0
            && !given.kept.contains(&HALVINGS)
        {
            let longer = steps as f64 / before as f64;
            *every = (*every as f64 * longer).round().max(1.0) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    fn config(name: &str) -> TrainConfig {
        TrainConfig::from_toml(preset(name).unwrap()).unwrap()
    }

    #[test]
    fn steps_fill_the_time_that_is_left() {
        let mut config = config("toy-stage1");
        let mut fitted = |seconds: f64, save: f64, grids: u64| {
            let plan = Plan { seconds, pace: Pace { step: 0.1, grid: 2.0, save } };
            assert!(plan.is_possible());
            plan.fit(&mut config, Cadence { grids, save_every: 30.0 }, &Given::default());
            config.check().unwrap();
            (config.optim.steps, config.run.sample_every, config.run.checkpoint_every)
        };
        assert_eq!(fitted(122.0, 0.5, 5), (1100, 220, 275), "a checkpoint every half minute");
        assert_eq!(fitted(121.0, 2.5, 5), (1060, 212, 530), "checkpoints take long");
        assert_eq!(fitted(33.0, 0.5, 5), (280, 140, 140), "two grids take an eighth of it");
        assert_eq!(fitted(1.0, 0.5, 10).0, 4, "never without a step");
        assert_eq!(fitted(1e300, 0.0, 10).0, 1_000_000_000_000);
    }

    /// Of 105 seconds, each 10 steps of 0.1 take a grid of 0.2 and each 5 a checkpoint of 0.3.
    #[test]
    fn intervals_that_were_asked_for_stay_and_their_time_is_counted() {
        let mut config = config("toy-stage1");
        (config.run.sample_every, config.run.checkpoint_every) = (10, 5);
        let plan = Plan { seconds: 105.0, pace: Pace { step: 0.1, grid: 0.2, save: 0.3 } };
        let given = Given { kept: vec![SAMPLES, CHECKPOINTS], steps_per_epoch: None };
        plan.fit(&mut config, Cadence { grids: 9, save_every: 30.0 }, &given);
        assert_eq!(config.optim.steps, ((105.0f64 - 0.5) / (0.1 + 0.02 + 0.06)) as u64);
        assert_eq!((config.run.sample_every, config.run.checkpoint_every), (10, 5));
        assert_eq!(config.run.report_every, 580 / 250);
        // Milestones are saved besides, but for those at which there is a checkpoint.
        for (keep_every, each) in [(6, 0.05), (20, 0.0)] {
            config.run.keep_every = keep_every;
            plan.fit(&mut config, Cadence { grids: 9, save_every: 30.0 }, &given);
            let each = 0.1 + 0.02 + 0.06 + each;
            assert_eq!(config.optim.steps, ((105.0f64 - 0.5) / each) as u64);
        }
    }

    #[test]
    fn halvings_follow_the_length() {
        let every = |seconds: f64, kept: &[&'static str]| {
            let mut config = config("cub-stage1"); // 600 epochs, halved every 50
            let plan = Plan { seconds, pace: Pace { step: 1.0, grid: 0.0, save: 0.0 } };
            let given = Given { kept: kept.to_vec(), steps_per_epoch: Some(10) };
            plan.fit(&mut config, Cadence { grids: 9, save_every: 30.0 }, &given);
            config.check().unwrap();
            assert_eq!((config.optim.epochs, config.optim.steps), (0, seconds as u64));
            let Decay::Halve { every } = config.optim.decay else { unreachable!() };
            every
        };
        assert_eq!([60.0, 600.0, 6000.0, 12000.0].map(|s| every(s, &[])), [1, 5, 50, 100]);
        assert_eq!(every(600.0, &[HALVINGS]), 50);
    }

    #[test]
    fn what_is_a_share_of_the_run_stays_one() {
        let (mut config, before) = (config("toy-stage2"), config("toy-stage2"));
        let plan = Plan { seconds: 1e4, pace: Pace { step: 0.1, grid: 2.0, save: 0.5 } };
        plan.fit(&mut config, Cadence { grids: 5, save_every: 300.0 }, &Given::default());
        let (run, optim) = (config.run, config.optim);
        let expected = TrainConfig {
            run: crate::config::RunConfig { keep: before.run.keep, ..run },
            optim: crate::config::OptimConfig { steps: optim.steps, epochs: 0, ..before.optim },
            ..before
        };
        assert_eq!(config, expected);
        assert!((plan.least() - (0.4 + 5.0)).abs() < 1e-9);
    }
}
