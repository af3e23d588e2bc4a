//! The measures, and the Inception networks, compared with their references
//! (`tests/golden/README.md`).
#![allow(clippy::unwrap_used, reason = "a test may panic; helpers outside of test functions too")]

mod fed;
mod formula;
mod inception;
mod measures;
#[path = "../it/formula.rs"]
mod pictures;
#[path = "../it/weights.rs"]
mod weights;
