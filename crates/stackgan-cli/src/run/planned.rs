//! The plan of a run whose length was given as time. It is made once: the run keeps its steps.

use serde::{Deserialize, Serialize};
use stackgan_data::counted;
use stackgan_train::config::TrainConfig;
use stackgan_train::estimate::Plan;

use crate::progress::{brief, duration};

/// What `--hours` came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Planned {
    /// The hours that were asked for.
    pub hours: f64,
    /// Number of steps that fit in them.
    pub steps: u64,
    /// Number of epochs that these are; none before the data are there.
    pub epochs: Option<f64>,
    /// Seconds that they take, with grids and checkpoints: what the measuring left.
    pub seconds: f64,
    /// Seconds of one step, as it was measured.
    pub seconds_a_step: f64,
    /// Of one grid.
    pub seconds_a_grid: f64,
    /// Of one checkpoint with its model file.
    pub seconds_a_checkpoint: f64,
}

impl Planned {
    /// The plan of a run with these settings, to which `plan` was fitted.
    pub(crate) fn of(
        hours: f64,
        plan: &Plan,
        config: &TrainConfig,
        steps_per_epoch: Option<u64>,
    ) -> Self {
        let steps = config.optim.steps;
        Self {
            hours,
            steps,
            epochs: steps_per_epoch.filter(|n| *n > 0).map(|n| steps as f64 / n as f64),
            seconds: plan.seconds,
            seconds_a_step: plan.pace.step,
            seconds_a_grid: plan.pace.grid,
            seconds_a_checkpoint: plan.pace.save,
        }
    }

    /// A line about it.
    pub(crate) fn line(&self) -> String {
        let steps = counted(self.steps as usize, "step");
        let epochs = self.epochs.map(|n| format!(", {n:.1} epochs")).unwrap_or_default();
        format!(
            "hours      {}: {steps}{epochs}, at {} a step in about {} with grids and checkpoints",
            self.hours,
            brief(self.seconds_a_step),
            duration(self.seconds)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackgan_train::config::preset;
    use stackgan_train::estimate::Pace;

    #[test]
    fn a_line_says_how_many_steps_fit() {
        let config = TrainConfig::from_toml(preset("toy-stage1").unwrap()).unwrap(); // 6000 steps
        let pace = Pace { step: 0.5, grid: 1.0, save: 0.25 };
        let plan = Plan { seconds: 3590.0, pace };
        let line = Planned::of(1.0, &plan, &config, Some(160)).line();
        let expected = "hours      1: 6000 steps, 37.5 epochs, at 500 ms a step in about 59m50s";
        assert!(line.starts_with(expected), "{line}");
        let without = Planned::of(1.0, &plan, &config, None);
        assert!(without.line().contains("6000 steps, at "), "{}", without.line());
        let text = serde_json::to_string(&without).unwrap();
        assert_eq!(serde_json::from_str::<Planned>(&text).unwrap(), without);
    }
}
