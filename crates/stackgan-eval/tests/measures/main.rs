//! The measures against their references (`tests/golden/README.md`).
#![allow(clippy::unwrap_used, reason = "a test may panic; helpers outside of test functions too")]

mod formula;
mod measures;
