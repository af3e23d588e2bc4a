//! Prepared datasets: the header, the tables and the first pictures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackgan_data::prepared::Prepared;
use std::io::Write as _;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a temporary file is written");
    let Ok(data) = Prepared::open(file.path()) else { return };
    assert_eq!(data.classes().len(), data.len());
    for i in 0..data.len().min(4) {
        let side = data.size().prepared();
        assert_eq!(data.image(i).expect("the header was checked").len(), side * side * 3);
        assert_eq!(data.captions(i).len(), data.caption_range(i).len());
        let _ = (data.key(i), data.class(i), data.split(i));
    }
});
