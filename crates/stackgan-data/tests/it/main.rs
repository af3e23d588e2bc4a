//! Tests of the public interface of this crate, with the real files if they are available, and with
//! hostile ones.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests say why they fail or skip")]

mod fixtures;
mod formats;
mod hostile;
mod hostile_formats;
mod packs;
mod real_cub;
mod real_embeddings;
mod real_formats;
mod real_pickles;
mod tables;
mod tensorflow;

use std::path::PathBuf;

/// Returns a folder of `shared/data`; prints a message and returns `None` if it does not exist.
fn shared(name: &str) -> Option<PathBuf> {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not at hand", path.display());
        return None;
    }
    Some(path)
}
