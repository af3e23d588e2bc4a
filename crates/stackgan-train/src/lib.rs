//! The alternating two-stage training of StackGAN: steps, schedules, checkpoints and events.
//!
//! The library prints nothing; it reports progress as [`event::TrainEvent`]s.
#![forbid(unsafe_code)]

pub mod adam;
mod compatible;
pub mod config;
pub mod diff_augment;
mod ema;
pub mod encoding;
mod error;
pub mod estimate;
pub mod event;
mod feed;
mod fine_tune;
pub mod guard;
pub mod identity;
pub mod knobs;
pub mod matching;
mod nonfinite;
pub mod origins;
pub mod players;
pub mod policy;
mod pretrained;
pub mod projected;
pub mod r1;
mod ranges;
mod recording;
mod recovery;
pub mod replay;
mod reports;
pub mod run;
pub mod run_dir;
pub mod run_files;
mod samples;
pub mod schedule;
mod setup;
mod shown;
mod spectral;
mod standardise;
pub mod start;
mod state;
pub mod step;
pub mod store;
pub mod tensorboard;
pub mod text;
pub mod watch;

pub use error::{Error, Result};
pub use pretrained::Pretrained;
pub use shown::Shown;

/// A run can be given to a thread.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<(run::Setup, players::Players, text::TrainedEncoder, Pretrained, Error)>();
};
