//! MATLAB files, read as the tests read them.
#![no_main]

#[path = "../../crates/stackgan-data/tests/heap/readers.rs"]
#[allow(dead_code, reason = "the readers of other formats")]
mod readers;
#[path = "../../crates/stackgan-data/tests/it/tables.rs"]
#[allow(dead_code, reason = "the tests write more")]
mod tables;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = readers::matlab(bytes);
});
