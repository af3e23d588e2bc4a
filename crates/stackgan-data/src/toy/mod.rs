//! Toy birds: drawn pictures with captions, for a first run without any download.
//!
//! [`write()`] draws a dataset in the layout of CUB, so that it is read in the same way as the real
//! birds. [`Judge`] determines the colours of a picture's parts, and [`named_in`] the colours that a
//! caption names.
//!
//! The design follows a study of what a small network can learn in minutes: eight well separated
//! colours, a body visible from both sides, a large crown, little jitter of pose, and held-out
//! combinations of colours.

mod anatomy;
mod backdrop;
mod bird;
mod captions;
mod colour;
mod folder;
mod grammar;
mod judge;
mod picture;
mod ridge;
mod shape;
mod species;
#[cfg(test)]
#[allow(clippy::print_stdout, reason = "tests print what they measure")]
mod tests;
mod view;

pub use colour::Colour;
pub use folder::{ToyConfig, ToyReport, is_toy, write};
pub use grammar::{Named, named_in};
pub use judge::{Agreement, Judge, Judged};
pub use picture::Facing;
pub use view::SIDE;
