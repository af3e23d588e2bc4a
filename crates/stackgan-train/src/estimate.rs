//! What a run needs, before its first step: its memory, and the time of a step; and how long it is if its time is given.

mod memory;
mod plan;
#[cfg(test)]
mod tests;
mod time;
mod trial;

pub use memory::Memory;
pub use plan::{Cadence, FITTED, Given, Plan};
pub use time::{Pace, Speed, seconds_a_step};
pub use trial::Timed;
