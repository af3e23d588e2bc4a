//! Whole-program tests: everything goes through the binary, as a user's commands do.
#![allow(clippy::unwrap_used, reason = "a test may panic; helpers outside of test functions too")]

mod common;
mod demo;
mod errors;
mod eval;
mod exchange;
mod fetch;
mod layouts;
mod own;
mod path;
#[path = "../../crates/stackgan-data/tests/fetch/server.rs"]
mod server;
mod settings;
mod text;
#[path = "../../crates/stackgan-data/tests/fetch/writers.rs"]
mod writers;
