//! Whole-program tests: everything goes through the binary, as a user's commands do.
#![allow(clippy::unwrap_used, reason = "a test may panic; helpers outside of test functions too")]

mod common;
mod demo;
mod encoders;
mod errors;
mod exchange;
mod fetch;
mod layouts;
mod own;
mod path;
mod reed;
#[path = "../../crates/stackgan-data/tests/fetch/server.rs"]
mod server;
mod settings;
#[path = "../../crates/stackgan-core/tests/sentence/tiny_bert.rs"]
mod tiny_bert;
#[path = "../../crates/stackgan-data/tests/fetch/writers.rs"]
mod writers;
