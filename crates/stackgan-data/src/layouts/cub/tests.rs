//! Tests of the CUB layout: real folders if they are available, and broken ones.

use super::*;
use crate::formats::pickle::write_ints;
use crate::testing::{name_list, put};

/// A complete folder of three pictures: two of class 1 for training, one of class 2 for testing.
pub(crate) fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| drop(put(&dir, name, bytes));
    write("CUB_200_2011/images.txt", b"1 001.A/x.jpg\n2 001.A/y.jpg\r\n3 002.B/b.jpg\n");
    // In another order than images.txt: joined by number.
    write(
        "CUB_200_2011/bounding_boxes.txt",
        b"3 7 8 9 10\n1 60.0 27.0 325.0 304.0\n2 -1.5 0 5 6\n",
    );
    for key in ["001.A/x", "001.A/y", "002.B/b"] {
        write(&format!("CUB_200_2011/images/{key}.jpg"), b"a picture");
        write(&format!("text/{key}.txt"), format!("one {key}\ntwo\n").as_bytes());
    }
    write("train/filenames.pickle", &name_list(&["001.A/y", "001.A/x"]));
    write("test/filenames.pickle", &name_list(&["002.B/b"]));
    write("train/class_info.pickle", &write_ints(&[1, 1]));
    dir
}

fn error(dir: &tempfile::TempDir) -> String {
    read(dir.path(), Reading::default()).unwrap_err().to_string()
}

#[test]
fn order_classes_boxes_and_captions() {
    let dir = folder();
    let data = read(dir.path(), Reading::default()).unwrap();
    let keys: Vec<&str> = data.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["001.A/y", "001.A/x", "002.B/b"]); // the order of the pickles
    let y = &data.items[0];
    assert_eq!(y.captions, ["one 001.A/y", "two"]);
    assert_eq!(y.bounding_box, Some(BoundingBox { x: -1.5, y: 0.0, width: 5.0, height: 6.0 }));
    assert_eq!((y.class, y.split), (1, Split::Train));
    assert_eq!((data.items[2].class, data.items[2].split), (2, Split::Test));
    assert_eq!(data.items[2].bounding_box.unwrap().height, 10.0);
    std::fs::rename(dir.path().join("text"), dir.path().join("text_c10")).unwrap();
    assert_eq!(read(dir.path(), Reading::default()).unwrap(), data);
}

/// Class 1 is one of the release's for testing, class 2 is not.
#[test]
fn without_lists_the_release_s_classes_are_the_split() {
    let dir = folder();
    for split in ["train", "test"] {
        std::fs::remove_file(dir.path().join(split).join("filenames.pickle")).unwrap();
    }
    let data = read(dir.path(), Reading::default()).unwrap();
    let found: Vec<_> =
        data.items.iter().map(|item| (item.key.as_str(), item.class, item.split)).collect();
    let wanted =
        [("002.B/b", 2, Split::Train), ("001.A/x", 1, Split::Test), ("001.A/y", 1, Split::Test)];
    assert_eq!(found, wanted);
    assert!(data.notes.concat().contains("in the order of images.txt"), "{:?}", data.notes);
    let list = dir.path().join("CUB_200_2011/images.txt");
    for odd in ["201.A", "000.A", "A"] {
        let text = format!("1 {odd}/x.jpg\n2 001.A/y.jpg\n3 002.B/b.jpg\n");
        std::fs::write(&list, text).unwrap();
        let said = error(&dir);
        let whole = said.contains("images.txt") && said.contains("entry 0");
        assert!(whole && said.contains(&format!("{odd}/x")), "{said}");
    }
}

#[test]
fn one_list_alone_is_a_mistake() {
    for split in ["train", "test"] {
        let dir = folder();
        std::fs::remove_file(dir.path().join(split).join("filenames.pickle")).unwrap();
        let said = error(&dir);
        let named = said.replace('\\', "/").contains(&format!("{split}/filenames.pickle"));
        assert!(said.contains("lacks 1 part") && named, "{said}");
    }
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let dir = folder();
    std::fs::remove_file(dir.path().join("CUB_200_2011/images/001.A/x.jpg")).unwrap();
    std::fs::remove_file(dir.path().join("text/001.A/x.txt")).unwrap();
    std::fs::remove_file(dir.path().join("text/002.B/b.txt")).unwrap();
    let said = error(&dir);
    assert!(said.contains("pictures: 1 (001.A/x.jpg)"), "{said}");
    assert!(said.contains("caption files: 2 (001.A/x.txt, 002.B/b.txt)"), "{said}");
    std::fs::remove_dir_all(dir.path().join("CUB_200_2011")).unwrap();
    assert!(error(&dir).contains("3 parts"), "{}", error(&dir));
}

#[test]
fn pictures_without_captions_can_be_left_out() {
    let dir = folder();
    std::fs::remove_file(dir.path().join("text/001.A/x.txt")).unwrap();
    std::fs::write(dir.path().join("text/002.B/b.txt"), " \n").unwrap();
    let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
    let data = read(dir.path(), how).unwrap();
    assert_eq!(data.items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["001.A/y"]);
    let said = data.notes.concat();
    assert!(said.contains("2 pictures without captions left out (001.A/x, 002.B/b)"), "{said}");
    // A picture that is missing is still a fault.
    std::fs::remove_file(dir.path().join("CUB_200_2011/images/001.A/x.jpg")).unwrap();
    let said = read(dir.path(), how).unwrap_err().to_string();
    assert!(
        said.contains("pictures: 1 (001.A/x.jpg)") && !said.contains("caption files"),
        "{said}"
    );
}

/// Unsafe paths, and lists whose counts differ, are rejected.
#[test]
fn hostile_and_mismatched_lists_are_refused() {
    let evil = ["../../etc/passwd", "/etc/passwd", "001.A\\x", "001.A/../../x", "001.A/x\0", ""];
    for evil in evil {
        let dir = folder();
        std::fs::write(dir.path().join("train/filenames.pickle"), name_list(&["001.A/y", evil]))
            .unwrap();
        let said = error(&dir);
        assert!(said.contains("not safe") && said.contains("entry 1"), "{said}");
    }
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("train/filenames.pickle", name_list(&["001.A/y", "001.A/y"]), "listed twice"),
        ("train/filenames.pickle", name_list(&["001.A/y", "002.B/b"]), "listed twice"),
        ("train/filenames.pickle", name_list(&["001.A/y", "001.A/z"]), "001.A/z"),
        ("train/filenames.pickle", write_ints(&[1]), "expected a string"),
        ("train/class_info.pickle", write_ints(&[1]), "expected 2 as "),
        ("train/class_info.pickle", write_ints(&[1, -1]), "entry 1"),
        ("CUB_200_2011/images.txt", b"1 ../x.jpg\n".to_vec(), "not safe"),
        ("CUB_200_2011/images.txt", b"1 001.A/x.jpg\n1 001.A/x.jpg\n".to_vec(), "line 2"),
        ("CUB_200_2011/images.txt", b"one 001.A/x.jpg\n".to_vec(), "line 1"),
        ("CUB_200_2011/bounding_boxes.txt", b"1 0 0 5 nan\n".to_vec(), "line 1"),
        ("CUB_200_2011/bounding_boxes.txt", b"1 0 0 5 0\n".to_vec(), "line 1"),
        ("CUB_200_2011/bounding_boxes.txt", b"1 0 0 5 5\n2 0 0 5 5\n".to_vec(), "none for 1"),
    ];
    for (file, bytes, part) in cases {
        let dir = folder();
        std::fs::write(dir.path().join(file), bytes).unwrap();
        assert!(error(&dir).contains(part), "{part} in {}", error(&dir));
    }
}

#[test]
fn folders_without_numbers_take_the_class_from_the_list() {
    let dir = folder();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    for root in ["CUB_200_2011/images", "text"] {
        std::fs::rename(dir.path().join(root).join("001.A"), dir.path().join(root).join("A"))
            .unwrap();
    }
    write("CUB_200_2011/images.txt", b"1 A/x.jpg\n2 A/y.jpg\n3 002.B/b.jpg\n");
    write("train/filenames.pickle", &name_list(&["A/y", "A/x"]));
    write("train/class_info.pickle", &write_ints(&[7, 8]));
    let classes: Vec<u32> =
        read(dir.path(), Reading::default()).unwrap().items.iter().map(|item| item.class).collect();
    assert_eq!(classes, [7, 8, 2]);
    std::fs::remove_file(dir.path().join("train/class_info.pickle")).unwrap();
    assert!(error(&dir).contains("class of a picture is not known"));
}
