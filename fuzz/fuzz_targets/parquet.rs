//! Parquet files: the metadata, and every row.
//!
//! A panic in the crate that decodes pages becomes an error in ours, so it must not end the fuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackgan_data::unpack::parquet::Shard;
use stackgan_data::unpack::{Columns, Content};
use std::io::Write as _;

fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a temporary file is written");
    let columns = Columns::default();
    let Ok(shard) = Shard::open(file.path(), &columns) else { return };
    let _ = shard.read(&mut |entry, _| {
        if let Content::Sample(sample) = entry.content {
            assert!(sample.captions.iter().all(|caption| !caption.is_empty()));
        }
        Ok(())
    });
});
