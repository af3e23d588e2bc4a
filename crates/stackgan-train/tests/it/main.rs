//! Tests of the training crate.
mod golden;
