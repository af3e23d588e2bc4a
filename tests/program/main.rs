//! Tests of the whole program: everything goes through the binary, as a user's commands do.
#![allow(clippy::unwrap_used, reason = "a test may panic; helpers outside of test functions too")]
#![allow(clippy::print_stderr, reason = "tests say why they skip, and their seed")]

mod captions;
mod common;
mod demo;
mod edits;
mod encoders;
mod errors;
mod eval;
mod exchange;
mod fetch;
mod folder;
mod gpu;
mod hours;
mod hub;
mod layouts;
#[path = "../../crates/stackgan-train/tests/it/ledger.rs"]
mod ledger;
#[path = "../../crates/stackgan-eval/tests/it/lite0.rs"]
mod lite0;
#[cfg(target_os = "linux")]
mod memory;
mod mismatch;
#[cfg(unix)]
mod names;
mod onnx;
mod operations;
mod own;
mod path;
#[cfg(unix)]
mod places;
mod presets;
mod readers;
mod reed;
mod reliability;
mod runs;
mod scripting;
#[path = "../../crates/stackgan-data/tests/fetch/server.rs"]
mod server;
mod serving;
mod settings;
mod starting;
mod taking_up;
mod text;
#[path = "../../crates/stackgan-core/tests/sentence/tiny_bert.rs"]
mod tiny_bert;
#[cfg(unix)]
#[path = "../../crates/stackgan-data/tests/fetch/tmpfs.rs"]
mod tmpfs;
mod unpack;
#[path = "../../crates/stackgan-eval/tests/it/weights.rs"]
mod weights;
#[path = "../../crates/stackgan-data/tests/fetch/writers.rs"]
mod writers;
