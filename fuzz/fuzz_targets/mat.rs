//! MATLAB files: every variable asked for its numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackgan_data::formats::matlab;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = matlab::decode(bytes, Path::new("fuzz")) else { return };
    for name in file.names().take(64) {
        if let Ok(array) = file.array(name) {
            assert_eq!(array.to_ints().map_or(array.len(), |ints| ints.len()), array.len());
        }
    }
});
