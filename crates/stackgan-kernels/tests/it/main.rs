//! The fast forms against their twins in `reference`, and both against finite differences.

mod adam;
mod batch_norm;
mod common;
mod conv;
mod elementwise;
mod finite_differences;
mod frozen;
mod threads;
