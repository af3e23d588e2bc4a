//! The fast forms compared with their references in `reference`, and both with finite differences.
#![allow(clippy::unwrap_used, reason = "an error in a test is a failure of the test")]

mod adam;
mod batch_norm;
mod blocks;
mod common;
mod conv;
mod elementwise;
mod evaluated;
mod finite_differences;
mod frozen;
mod maps;
mod threads;
