//! TensorFlow's checkpoints, read as the tests read them: the input is the contents of a block, of
//! slices or of an index, which gets a right sum and a table around it.
#![no_main]

#[path = "../../crates/stackgan-data/tests/heap/readers.rs"]
#[allow(dead_code, reason = "the readers of other formats")]
mod readers;
#[path = "../../crates/stackgan-data/tests/it/tables.rs"]
#[allow(dead_code, reason = "the tests write more")]
mod tables;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = readers::tensorflow(bytes);
});
