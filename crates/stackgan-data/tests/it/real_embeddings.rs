//! A genuine record of Reed's flowers (reedscot/icml2016), imported for its picture, if both are
//! available.

use crate::shared;
use stackgan_data::crop::{PictureSize, Preparation, Resizing};
use stackgan_data::embeddings::{self, Embeddings};
use stackgan_data::layouts::{Reading, Uncaptioned, oxford};
use stackgan_data::prepared::{Damaged, ImportOptions, Prepared, import};

#[test]
fn a_record_of_reed_becomes_the_rows_of_its_picture() {
    let (Some(flowers), Some(formats)) = (shared("oxford102"), shared("formats/t7")) else {
        return;
    };
    let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
    let mut data = oxford::read(&flowers, how).unwrap();
    data.items.retain(|item| item.key == "jpg/image_07764");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.safetensors");
    let preparation = Preparation::squeezed(PictureSize::Stage1, Resizing::Residual);
    let options = ImportOptions { preparation, damaged: Damaged::Refuse };
    import(&data, &file, &options, &|_, _| {}).unwrap();
    let prepared = Prepared::open(&file).unwrap();

    let given = folder.path().join("flowers_icml/class_00098");
    std::fs::create_dir_all(&given).unwrap();
    let record = formats.join("reed_flower_image_record.t7");
    std::fs::copy(&record, given.join("image_07764.t7")).unwrap();
    let raw = std::fs::read(formats.join("reed_flower_image_07764_txt_10x1024.f32")).unwrap();
    let raw: Vec<f32> = raw.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let out = folder.path().join("e.safetensors");
    for source in [given.parent().unwrap(), &record] {
        let done = embeddings::import(source, &prepared, &out, None, &|_, _| {}).unwrap();
        assert_eq!((done.rows, done.dim, done.unused), (10, 1024, 0));
        assert_eq!(Embeddings::open(&out).unwrap().rows(0..10).unwrap(), raw);
    }
    // If the file's name belongs to no picture, the name inside the record is used.
    std::fs::rename(given.join("image_07764.t7"), given.join("image_07765.t7")).unwrap();
    let done = embeddings::import(&given, &prepared, &out, None, &|_, _| {}).unwrap();
    assert_eq!(done.rows, 10);
}
