//! Readers of dataset folders. The kind is stated by the caller, never guessed from letters in a path.

pub mod cub;
mod keys;

pub use keys::{checked_key, inside};
