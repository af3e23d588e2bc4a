//! Whole-program tests: everything goes through the binary, as a user's commands do.
#![allow(clippy::unwrap_used, reason = "a test may panic; helpers outside of test functions too")]

mod common;
mod demo;
mod errors;
mod exchange;
mod layouts;
mod own;
mod path;
mod settings;
