//! Progress on stderr: a bar with an estimate on a terminal, a line every ten seconds elsewhere,
//! nothing with `-q`. stdout is reserved for results.

mod fetching;
mod manner;
mod phase;
mod training;

pub(crate) use fetching::FetchProgress;
pub(crate) use manner::Manner;
pub(crate) use phase::{Phase, brief, duration};
pub(crate) use training::TrainProgress;
