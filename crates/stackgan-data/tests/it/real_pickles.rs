//! Pickles that Python 2.7 wrote in 2016 and later (from abhisheksingh0308/GAN-App).

use crate::shared;
use stackgan_data::dataset::Split;
use stackgan_data::formats::pickle;
use stackgan_data::layouts::cub::split_of_class;
use std::path::Path;

fn strings(path: &Path) -> Vec<String> {
    pickle::decode(&std::fs::read(path).unwrap(), path).unwrap().strings(path).unwrap()
}

fn ints(path: &Path) -> Vec<i64> {
    pickle::decode(&std::fs::read(path).unwrap(), path).unwrap().ints(path).unwrap()
}

#[test]
fn the_release_s_lists_are_read() {
    let Some(dir) = shared("formats/pickles") else { return };
    let train = strings(&dir.join("stackgan_train_filenames.pickle"));
    assert_eq!(train.len(), 8855);
    assert_eq!(train[0], "002.Laysan_Albatross/Laysan_Albatross_0002_1027");
    assert_eq!(train[8854], "200.Common_Yellowthroat/Common_Yellowthroat_0055_190967");
    let test = strings(&dir.join("stackgan_test_filenames.pickle"));
    assert_eq!(test.len(), 2933);
    for (list, split) in [(&train, Split::Train), (&test, Split::Test)] {
        let class = |key: &String| key[..3].parse().ok();
        let of = |key| class(key).and_then(split_of_class);
        assert!(list.iter().all(|key| of(key) == Some(split)), "{split}");
    }
    assert_eq!(strings(&dir.join("dfgan_subset_train_filenames.pickle")).len(), 275);

    // numpy scalars, one object per class, shared through the memo.
    let prefix = |key: &str| key[..3].parse::<i64>().unwrap();
    let classes = ints(&dir.join("stackgan_train_class_info.pickle"));
    assert!(classes == train.iter().map(|key| prefix(key)).collect::<Vec<_>>());
    // Plain integers.
    let classes = ints(&dir.join("stackgan_test_class_info.pickle"));
    assert!(classes == test.iter().map(|key| prefix(key)).collect::<Vec<_>>());
}

#[test]
fn the_release_s_lists_are_written_byte_for_byte() {
    let Some(dir) = shared("formats/pickles") else { return };
    for name in
        ["stackgan_test_filenames", "stackgan_train_filenames", "dfgan_subset_train_filenames"]
    {
        let path = dir.join(name).with_extension("pickle");
        let bytes = std::fs::read(&path).unwrap();
        // The third was once saved by an editor, which added a newline.
        assert!(pickle::write_strings(&strings(&path)) == bytes.trim_ascii_end(), "{name}");
    }
    let path = dir.join("stackgan_test_class_info.pickle");
    assert!(pickle::write_ints(&ints(&path)) == std::fs::read(&path).unwrap());
}
