//! TensorFlow's checkpoints: the input is the contents of a block, of slices or of an index, which
//! gets a right sum and a table around it. The numbers of an index are not there.
#![no_main]

#[path = "../../crates/stackgan-data/tests/it/tables.rs"]
#[allow(dead_code, reason = "the tests write more")]
mod tables;

use libfuzzer_sys::fuzz_target;
use stackgan_data::formats::tensorflow::Checkpoint;
use std::io::Write as _;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&tables::table(&[bytes.to_vec()])).expect("a temporary file is written");
    let Ok(checkpoint) = Checkpoint::open(file.path()) else { return };
    let checkpoint = checkpoint.expect("it ends as a table");
    let shapes = checkpoint.shapes();
    let Ok(found) = checkpoint.read(&shapes.keys().cloned().collect()) else { return };
    for (name, numbers) in &found {
        assert_eq!(numbers.len(), shapes[name].iter().product::<usize>());
    }
});
