//! Tests of this crate from outside: with the real files where they are at hand, and with hostile ones.
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

use std::path::PathBuf;

/// A folder of `shared/data`; `None`, said on stderr, where it is absent.
fn shared(name: &str) -> Option<PathBuf> {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not at hand", path.display());
        return None;
    }
    Some(path)
}
