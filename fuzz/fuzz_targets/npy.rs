//! numpy's files with one array, and its archives with several. Arrays that are read are written
//! and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackgan_data::formats::{ArrayView, npy, npz};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let file = Path::new("fuzz");
    if let Ok(array) = npy::decode(bytes, file) {
        again(&array);
    }
    let Ok(archive) = npz::decode(bytes, file) else { return };
    for name in archive.names().iter().take(16) {
        let Ok(member) = archive.member(name) else { continue };
        if let Ok(array) = npy::decode(&member, file) {
            again(&array);
        }
    }
});

fn again(array: &ArrayView<'_>) {
    let (file, values) = (Path::new("fuzz"), array.to_f32());
    let mut written = Vec::new();
    if npy::write_f32(&mut written, array.shape(), &values, file).is_ok() {
        let read = npy::decode(&written, file).expect("what was written is read");
        assert_eq!(read.shape(), array.shape());
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.to_f32()), bits(&values));
    }
}
