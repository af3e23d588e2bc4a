//! Tests of the training crate.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, in helper functions too")]
#![allow(clippy::print_stderr, reason = "tests say why they skip")]
mod disk;
mod exact;
mod faults;
mod golden;
mod gpu;
mod knobs;
mod ledger;
#[path = "../../../stackgan-eval/tests/it/lite0.rs"]
mod lite0;
mod matching;
mod micro_batch;
mod mode_seeking;
mod numbers;
mod projected;
mod reed_record;
mod run;
mod shown;
mod taking_up;
#[path = "../../../stackgan-eval/tests/it/weights.rs"]
mod weights;
