//! What a run needs, before its first step: its memory, and the time of a step.

mod memory;
#[cfg(test)]
mod tests;
mod time;

pub use memory::Memory;
pub use time::seconds_a_step;
