//! PyTorch's weights in both containers. An input that is not an archive is also wrapped in one
//! with correct checksums: up to its last dot as the pickle, the rest as a storage.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackgan_data::formats::torch_pickle;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    if !bytes.starts_with(b"PK") {
        // Pickles end in a dot; the bytes after the last one are the storage.
        let end = bytes.iter().rposition(|&byte| byte == b'.').map_or(0, |at| at + 1);
        let (object, storage) = bytes.split_at(end);
        read(&archive(&[("a/data.pkl", object), ("a/data/0", storage)]));
    }
});

fn read(bytes: &[u8]) {
    let Ok(tensors) = torch_pickle::decode(bytes, Path::new("fuzz")) else { return };
    assert!(!tensors.is_empty());
    for tensor in tensors.iter().take(16) {
        assert_eq!(tensor.array.to_f32().len(), tensor.array.len());
    }
}

/// Returns a zip archive of stored entries.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, contents) in entries {
        let offset = (file.len() as u32).to_le_bytes();
        let size = (contents.len() as u32).to_le_bytes();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc32fast::hash(contents).to_le_bytes());
        common.extend([size, size].concat());
        common.extend([name.len() as u8, 0, 0, 0]);
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), contents].concat());
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10]].concat());
        directory.extend([&offset[..], name.as_bytes()].concat());
    }
    let count = [entries.len() as u8, 0, entries.len() as u8, 0];
    let sizes = [directory.len() as u32, file.len() as u32].map(u32::to_le_bytes).concat();
    [&file[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &sizes, &[0, 0]].concat()
}
