//! Pickles of datasets, read as the tests read them: as each of the lists that they may be.
#![no_main]

#[path = "../../crates/stackgan-data/tests/heap/readers.rs"]
#[allow(dead_code, reason = "the readers of other formats")]
mod readers;
#[path = "../../crates/stackgan-data/tests/it/tables.rs"]
#[allow(dead_code, reason = "the tests write more")]
mod tables;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = readers::pickles(bytes);
});
