//! Pickles of datasets: decoded, then seen as each of the lists that they may be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackgan_data::formats::pickle;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let file = Path::new("fuzz");
    let Ok(document) = pickle::decode(bytes, file) else { return };
    let _ = document.strings(file);
    let _ = document.ints(file);
    if let Ok(arrays) = document.arrays(file) {
        for array in arrays.iter().take(16) {
            assert_eq!(array.to_f32().len(), array.len());
        }
    }
});
