//! Whole-program tests: everything goes through the binary, as a user's commands do.

mod common;
mod demo;
mod errors;
mod path;
mod settings;
