//! Tests of the Oxford-102 layout: drawn folders with each source of the split, and broken ones.

use super::*;
use crate::formats::pickle::write_ints;
use crate::testing::{name_list, put};

/// Six classes of two pictures with captions by class: no lists, no labels.
pub(crate) fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for picture in 1..=12u32 {
        let class = picture.div_ceil(2);
        let extension = if picture == 3 { "JPG" } else { "jpg" };
        put(&dir, &format!("jpg/image_{picture:05}.{extension}"), b"a picture");
        let captions = format!("one of {picture}\ntwo\n");
        let text = format!("text_c10/class_{class:05}/image_{picture:05}.txt");
        put(&dir, &text, captions);
    }
    put(&dir, "text_c10/class_00001.t7", b"a tensor of Reed's archive");
    dir
}

/// A MATLAB 5 file with one variable `labels` of bytes.
fn mat(labels: &[u8]) -> Vec<u8> {
    let mut out = vec![b' '; 124];
    out.extend([0, 1, b'I', b'M']);
    let mut matrix = Vec::new();
    let mut element = |kind: u32, bytes: &[u8]| {
        matrix.extend(kind.to_le_bytes());
        matrix.extend((bytes.len() as u32).to_le_bytes());
        matrix.extend(bytes);
        matrix.resize(matrix.len().next_multiple_of(8), 0);
    };
    element(6, &[9, 0, 0, 0, 0, 0, 0, 0]); // class uint8
    element(5, &[1i32.to_le_bytes(), (labels.len() as i32).to_le_bytes()].concat());
    element(1, b"labels");
    element(2, labels);
    out.extend(14u32.to_le_bytes());
    out.extend((matrix.len() as u32).to_le_bytes());
    out.extend(matrix);
    out
}

fn classes(data: &Dataset, split: Split) -> Vec<u32> {
    data.classes(split).into_iter().collect()
}

#[test]
fn without_lists_a_fifth_of_the_classes_is_kept() {
    let dir = folder();
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(
        (data.name.as_str(), data.items.len(), data.items[2].key.as_str()),
        ("oxford", 12, "jpg/image_00003")
    );
    assert_eq!((data.items[2].class, data.items[2].bounding_box), (2, None));
    assert_eq!(data.items[2].captions, ["one of 3", "two"]);
    let (train, test) = (data.classes(Split::Train), data.classes(Split::Test));
    assert_eq!((train.len(), test.len()), (5, 1));
    assert!(train.is_disjoint(&test));
    assert!(data.notes[0].contains("1 of 6 classes"), "{:?}", data.notes);
    assert_eq!(read(dir.path(), Reading::default()).unwrap(), data);
}

/// Without lists, pictures may lie in folders of `jpg`; two of one name would both get its captions.
#[test]
fn pictures_in_folders_are_read_where_they_lie() {
    let dir = folder();
    let name = "image_00001.jpg";
    std::fs::create_dir(dir.path().join("jpg/part")).unwrap();
    let moved = dir.path().join("jpg/part").join(name);
    std::fs::rename(dir.path().join("jpg").join(name), &moved).unwrap();
    let data = read(dir.path(), Reading::default()).unwrap();
    let item = data.items.iter().find(|item| item.key == "jpg/part/image_00001").unwrap();
    assert_eq!((&item.image, &*item.captions[0]), (&moved.canonicalize().unwrap(), "one of 1"));
    for other in ["jpg/image_00001.jpg", "jpg/part/image_00001.png"] {
        let file = put(&dir, other, b"another");
        let error = read(dir.path(), Reading::default()).unwrap_err().to_string();
        assert!(
            error.contains("two pictures have one name") && error.contains("part/image_00001.jpg"),
            "{error}"
        );
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn reed_s_list_and_the_release_s_lists_decide() {
    let dir = folder();
    put(&dir, "testclasses.txt", b"class_00005\r\nclass_00002\n\n");
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(classes(&data, Split::Test), [2, 5]);
    put(&dir, "train/filenames.pickle", name_list(&["jpg/image_00004", "jpg/image_00001"]));
    put(&dir, "test/filenames.pickle", name_list(&["jpg/image_00012"]));
    put(&dir, "train/class_info.pickle", write_ints(&[2, 1]));
    let data = read(dir.path(), Reading::default()).unwrap();
    let keys: Vec<&str> = data.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["jpg/image_00004", "jpg/image_00001", "jpg/image_00012"]); // the lists' order
    assert_eq!((data.items[0].captions[0].as_str(), data.items[0].class), ("one of 4", 2));
    assert_eq!((data.count(Split::Train), data.count(Split::Test)), (2, 1));
    assert!(data.notes.is_empty());
    std::fs::remove_file(dir.path().join("test/filenames.pickle")).unwrap();
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(data.notes, ["there are no pictures for testing"]);
    put(&dir, "test/filenames.pickle", name_list(&["jpg/image_00001"]));
    let error = read(dir.path(), Reading::default()).unwrap_err().to_string();
    assert!(error.contains("listed twice"), "{error}");
    put(&dir, "test/filenames.pickle", name_list(&["jpg/../../image_00001"]));
    assert!(read(dir.path(), Reading::default()).unwrap_err().to_string().contains("not safe"));
}

#[test]
fn labels_must_agree_with_the_folders() {
    let dir = folder();
    put(&dir, "imagelabels.mat", mat(&[1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]));
    assert_eq!(Parts::of(dir.path()).mat_labels().unwrap().len(), 12);
    read(dir.path(), Reading::default()).unwrap();
    put(&dir, "imagelabels.mat", mat(&[1, 1, 2, 9, 3, 3, 4, 4, 5, 5, 6, 6]));
    let error = read(dir.path(), Reading::default()).unwrap_err().to_string();
    assert!(error.contains("jpg/image_00004") && error.contains("class 9"), "{error}");
}

#[test]
fn what_is_missing_is_listed_or_left_out() {
    let dir = folder();
    for picture in [3, 4, 7] {
        let class = (picture + 1) / 2;
        let text = dir.path().join(format!("text_c10/class_{class:05}/image_{picture:05}.txt"));
        if picture == 4 {
            std::fs::write(text, "\n \n").unwrap(); // a blank file has no captions
        } else {
            std::fs::remove_file(text).unwrap();
        }
    }
    let error = read(dir.path(), Reading::default()).unwrap_err().to_string();
    assert!(
        error.contains(
            "captions of pictures: 3 (jpg/image_00003, jpg/image_00004, jpg/image_00007)"
        ),
        "{error}"
    );
    let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
    let data = read(dir.path(), how).unwrap();
    assert_eq!(data.items.len(), 9);
    assert!(data.notes[0].contains("3 pictures without captions left out"), "{:?}", data.notes);
    put(&dir, "train/filenames.pickle", name_list(&["jpg/image_00001", "jpg/image_00099"]));
    let error = read(dir.path(), how).unwrap_err().to_string();
    assert!(error.contains("pictures: 1 (jpg/image_00099)"), "{error}");
    put(&dir, "text_c10/class_00002/image_00001.txt", b"again\n");
    assert!(read(dir.path(), how).unwrap_err().to_string().contains("two classes"));
    assert!(
        read(Path::new("/nonexistent"), how)
            .unwrap_err()
            .to_string()
            .contains("folders of captions")
    );
}
