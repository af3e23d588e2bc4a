//! One step of training: the discriminator's, then the generator's. Each recipe has one function.

mod config;
mod game;
mod inputs;
mod loss;
mod parts;
mod plain;
mod residual;
mod stats;

pub use config::{Checks, StepConfig};
pub use game::{Game, Optimised, Views};
pub use inputs::{Batch, Inputs, StepNoise, next_of_other_class};
pub use plain::step as plain_step;
pub use residual::step as residual_step;
pub(crate) use residual::step_with_gradients as residual_step_with_gradients;
pub use stats::StepStats;
