//! Tests of the training crate.
mod golden;
mod run;
