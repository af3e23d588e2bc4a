//! Counts what the tests did; `docs/testing.md` is made from the counts.
//!
//! If `STACKGAN_LEDGER` is the path of a folder, each count is written there as a file. Otherwise
//! nothing is written, and the macro only checks that the count is not zero.

use std::path::PathBuf;

/// Records that `name` was done `count` times.
pub(crate) fn note(name: &str, count: usize, what: &str) {
    assert!(count > 0, "{name}: nothing was done");
    let Some(folder) = std::env::var_os("STACKGAN_LEDGER").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    let line = serde_json::json!({
        "name": name, "count": count, "what": what, "seed": seed(), "test": std::thread::current().name(),
    });
    std::fs::write(folder.join(format!("{name}.json")), line.to_string() + "\n").unwrap();
}

/// Returns the seed of the random tests: `STACKGAN_TEST_SEED`, or 1. It is printed, so that a
/// failed test shows it.
pub(crate) fn seed() -> u64 {
    let said = std::env::var("STACKGAN_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = said.unwrap_or(1);
    eprintln!("STACKGAN_TEST_SEED={seed}");
    seed
}

/// Returns the number of repetitions of a slow test: `full` if `STACKGAN_TEST_FULL` is set,
/// otherwise `few`.
pub(crate) fn times(few: usize, full: usize) -> usize {
    if std::env::var_os("STACKGAN_TEST_FULL").is_some() { full } else { few }
}

/// Records in the ledger what a test did.
macro_rules! ledger {
    ($name:literal, $count:expr, $what:literal) => {
        crate::ledger::note($name, $count as usize, $what)
    };
}
pub(crate) use ledger;
