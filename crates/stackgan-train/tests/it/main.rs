//! Tests of the training crate.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, in helper functions too")]
mod golden;
mod run;
