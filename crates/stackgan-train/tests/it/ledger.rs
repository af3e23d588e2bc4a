//! What the tests did, in numbers: `docs/testing.md` is made of it.
//!
//! Where `STACKGAN_LEDGER` names a folder, each count is written there as a file. Where it is not set nothing is written, and
//! the macro only checks that it has a number.

use std::path::PathBuf;

/// Notes that `name` was done `count` times.
pub(crate) fn note(name: &str, count: usize, what: &str) {
    assert!(count > 0, "{name}: nothing was done");
    let Some(folder) = std::env::var_os("STACKGAN_LEDGER").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    let line = serde_json::json!({
        "name": name, "count": count, "what": what, "seed": seed(), "test": std::thread::current().name(),
    });
    std::fs::write(folder.join(format!("{name}.json")), line.to_string() + "\n").unwrap();
}

/// The seed of what is random in a test: `STACKGAN_TEST_SEED`, or 1. Said when a test fails.
pub(crate) fn seed() -> u64 {
    let said = std::env::var("STACKGAN_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = said.unwrap_or(1);
    eprintln!("STACKGAN_TEST_SEED={seed}");
    seed
}

/// How often a test does what takes long: `few` times in the suite, `full` times where `STACKGAN_TEST_FULL` is set.
pub(crate) fn times(few: usize, full: usize) -> usize {
    if std::env::var_os("STACKGAN_TEST_FULL").is_some() { full } else { few }
}

/// Notes in the ledger what a test did.
macro_rules! ledger {
    ($name:literal, $count:expr, $what:literal) => {
        crate::ledger::note($name, $count as usize, $what)
    };
}
pub(crate) use ledger;
