//! Feature networks compared with PyTorch's.
#![allow(clippy::unwrap_used, reason = "an error in a test is a failure of the test")]

mod efficientnet_lite;
mod formula;
mod lite0;
mod weights;
