//! Tests of the COCO layout: both forms, and broken annotations.

use super::*;
use crate::testing::{name_list, put};

const TRAIN: &str = r#"{"info": {"year": 2014, "urls": ["x", {"y": null}]},
    "images": [{"license": 5, "file_name": "COCO_train2014_b.jpg", "id": 57, "width": 640},
               {"file_name": "COCO_train2014_a.jpg", "id": 9}],
    "licenses": [], "annotations": [
        {"image_id": 9, "id": 48, "caption": "first of nine"},
        {"image_id": 57, "id": 3, "caption": "one\nof 57 "},
        {"image_id": 9, "id": 2, "caption": "second of nine"},
        {"image_id": 57, "id": 1, "caption": "two of 57"},
        {"image_id": 57, "id": 9, "caption": "thr\u00e9e of 57"}]}"#;

/// Where the release's embeddings of the training set are.
const EMBEDDINGS: &str = "train/char-CNN-RNN-embeddings.pickle";

/// Two pictures for training and one for testing, as downloaded.
pub(crate) fn downloaded() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "annotations/captions_train2014.json", TRAIN.as_bytes());
    let val = r#"{"annotations": [{"image_id": 1, "caption": "v"}], "images": [{"id": 1, "file_name": "v.jpg"}]}"#;
    put(&dir, "annotations/captions_val2014.json", val.as_bytes());
    put(&dir, "train2014/COCO_train2014_a.jpg", b"x");
    put(&dir, "train2014/COCO_train2014_b.jpg", b"x");
    put(&dir, "val2014/v.jpg", b"x");
    dir
}

/// The same training set as the `PyTorch` release has it, without annotations.
pub(crate) fn listed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let names = ["COCO_train2014_b", "COCO_train2014_a"];
    put(&dir, "train/filenames.pickle", name_list(&names));
    // Two arrays: (3, 1) and (2, 1) of f4.
    let array = |rows: u8| {
        let mut out =
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K"
                .to_vec();
        out.push(rows);
        out.extend(b"K\x01\x86cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U");
        out.push(rows * 4);
        out.extend(vec![0; usize::from(rows) * 4]);
        out.extend(b"tb");
        out
    };
    let pickle = [b"\x80\x02](".to_vec(), array(3), array(2), b"e.".to_vec()].concat();
    put(&dir, EMBEDDINGS, pickle);
    put(&dir, "images/COCO_train2014_a.jpg", b"x");
    put(&dir, "images/COCO_train2014_b.jpg", b"x");
    dir
}

/// That set with annotations, in which the second picture has three captions.
pub(crate) fn with_more_captions() -> tempfile::TempDir {
    let dir = listed();
    let first = r#""annotations": [{"image_id": 9, "caption": "none before"},"#;
    let more = TRAIN.replace(r#""annotations": ["#, first);
    put(&dir, "annotations/captions_train2014.json", more.as_bytes());
    dir
}

fn error(dir: &tempfile::TempDir) -> String {
    read(dir.path(), Reading::default()).unwrap_err().to_string()
}

#[test]
fn as_downloaded() {
    let dir = downloaded();
    let data = read(dir.path(), Reading::default()).unwrap();
    let keys: Vec<&str> = data.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["COCO_train2014_a", "COCO_train2014_b", "v"]); // by number
    assert_eq!(data.items[0].captions, ["first of nine", "second of nine"]); // the order of the file
    assert_eq!(data.items[1].captions, ["one of 57", "two of 57", "thrée of 57"]);
    assert_eq!((data.count(Split::Train), data.count(Split::Test)), (2, 1));
    assert_eq!(data.classes(Split::Train).len(), 2); // one each
    std::fs::rename(dir.path().join("train2014"), dir.path().join("images")).unwrap();
    assert_eq!(read(dir.path(), Reading::default()).unwrap().items.len(), 3);
}

/// Other sets of this form number the pictures of each split from 1.
#[test]
fn a_picture_is_that_of_its_own_split() {
    let dir = downloaded();
    put(&dir, "train2014/v.jpg", b"of training");
    let data = read(dir.path(), Reading::default()).unwrap();
    let image = &data.items.iter().find(|item| item.key == "v").unwrap().image;
    assert_eq!(std::fs::read(image).unwrap(), b"x");
    let val = TRAIN.replace("COCO_train2014_b", "other");
    put(&dir, "annotations/captions_val2014.json", val.as_bytes());
    assert!(error(&dir).contains("found COCO_train2014_a.jpg"), "{}", error(&dir));
}

/// What joins captions, embeddings and records is the name without its extension.
#[test]
fn names_that_differ_in_their_extension_alone_are_refused() {
    let dir = downloaded();
    let val = r#"{"annotations": [{"image_id": 1, "caption": "v"}, {"image_id": 2, "caption": "w"}],
        "images": [{"id": 1, "file_name": "v.jpg"}, {"id": 2, "file_name": "v.png"}]}"#;
    put(&dir, "annotations/captions_val2014.json", val.as_bytes());
    put(&dir, "val2014/v.png", b"x");
    assert!(error(&dir).contains("two pictures have one name"), "{}", error(&dir));
    let val = val.replace("v.png", "v1.0/w");
    put(&dir, "annotations/captions_val2014.json", val.as_bytes());
    put(&dir, "val2014/v1.0/w", b"x");
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(data.items[3].key, "v1.0/w");
}

#[test]
fn as_the_release_has_it() {
    let dir = listed();
    let data = read(dir.path(), Reading::default()).unwrap();
    let keys: Vec<&str> = data.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["COCO_train2014_b", "COCO_train2014_a"]);
    assert_eq!(data.items[0].captions, ["", "", ""]);
    assert_eq!(data.items[1].captions, ["", ""]);
    assert!(data.notes[0].contains("captions are empty"), "{:?}", data.notes);
    put(&dir, "annotations/captions_train2014.json", TRAIN.as_bytes());
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(data.items[1].captions, ["first of nine", "second of nine"]);
    std::fs::remove_file(dir.path().join("images/COCO_train2014_a.jpg")).unwrap();
    assert!(error(&dir).contains("pictures: 1 (COCO_train2014_a.jpg)"), "{}", error(&dir));
    std::fs::remove_file(dir.path().join("annotations/captions_train2014.json")).unwrap();
    std::fs::remove_file(dir.path().join(EMBEDDINGS)).unwrap();
    assert!(error(&dir).contains("neither captions nor embeddings"), "{}", error(&dir));
}

/// Some pictures of COCO have six or seven captions, and five embeddings in the release.
#[test]
fn no_more_captions_are_kept_than_there_are_embeddings() {
    let dir = with_more_captions();
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(data.items[0].captions.len(), 3);
    assert_eq!(data.items[1].captions, ["none before", "first of nine"]);
    let note = "1 picture has more captions than embeddings: its first ones are kept";
    assert_eq!(data.notes.iter().filter(|said| *said == note).count(), 1, "{:?}", data.notes);
    assert_eq!(
        cut_short(2).unwrap(),
        "2 pictures have more captions than embeddings: their first ones are kept"
    );
    // Embeddings that are not there cost no caption.
    std::fs::remove_file(dir.path().join(EMBEDDINGS)).unwrap();
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(data.items[1].captions.len(), 3);
    assert!(!data.notes.join("\n").contains("more captions"), "{:?}", data.notes);
}

/// Else captions would stay without embeddings, unnoticed.
#[test]
fn damaged_embeddings_are_refused_with_annotations_too() {
    let dir = with_more_captions();
    let whole = std::fs::read(dir.path().join(EMBEDDINGS)).unwrap();
    for damaged in [&b"x"[..], &whole[..whole.len() / 2], b""] {
        put(&dir, EMBEDDINGS, damaged);
        assert!(error(&dir).contains("char-CNN-RNN-embeddings.pickle"), "{}", error(&dir));
    }
    put(&dir, EMBEDDINGS, whole);
    put(&dir, "train/filenames.pickle", name_list(&["COCO_train2014_b"]));
    let said = error(&dir);
    assert!(said.contains("embeddings do not fit the list of pictures"), "{said}");
}

#[test]
fn val2014_beside_lists_for_training_alone_is_told_and_can_be_read_by_itself() {
    let (listed, whole) = (with_more_captions(), downloaded());
    let notes = || read(listed.path(), Reading::default()).unwrap().notes.join("\n");
    assert!(notes().contains("no pictures for testing\n"), "{}", notes());
    let own = tempfile::tempdir().unwrap();
    for name in ["annotations/captions_val2014.json", "val2014/v.jpg"] {
        let bytes = std::fs::read(whole.path().join(name)).unwrap();
        put(&listed, name, &bytes);
        put(&own, name, &bytes);
    }
    for part in ["no pictures for testing; val2014 is here", "a folder of their own", "`eval`"] {
        assert!(notes().contains(part), "{part} in {}", notes());
    }
    let data = read(own.path(), Reading::default()).unwrap();
    assert_eq!((data.count(Split::Train), data.count(Split::Test)), (0, 1));
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let dir = downloaded();
    std::fs::remove_file(dir.path().join("train2014/COCO_train2014_a.jpg")).unwrap();
    std::fs::remove_file(dir.path().join("annotations/captions_val2014.json")).unwrap();
    let bare = TRAIN.replace("\"image_id\": 57", "\"image_id\": 9");
    put(&dir, "annotations/captions_train2014.json", bare.as_bytes());
    let said = error(&dir);
    for part in [
        "pictures: 1 (COCO_train2014_a.jpg)",
        "captions of pictures: 1 (COCO_train2014_b.jpg)",
        "lists of captions: 1 (",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn hostile_annotations_are_refused() {
    let picture = |name: &str| {
        format!(r#"{{"images": [{{"id": 1, "file_name": "{name}"}}], "annotations": []}}"#)
    };
    let deep = format!("{{\"info\": {}", "[".repeat(100_000));
    let cases = [
        (picture("../../etc/passwd"), "not safe"),
        (picture("/etc/passwd"), "not safe"),
        (picture(""), "not safe"),
        (r#"{"images": [], "annotations": [{"image_id": 7, "caption": "x"}]}"#.to_owned(), "image_id 7"),
        (r#"{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}], "annotations": []}"#.to_owned(), "twice"),
        (r#"{"images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}], "annotations": []}"#.to_owned(), "each picture once"),
        (r#"{"images": []}"#.to_owned(), "no `annotations`"),
        (r#"{"annotations": []}"#.to_owned(), "no `images`"),
        (r#"{"images": [], "annotations": []} trailing"#.to_owned(), "line 1"),
        (r#"{"images": [{"id": -1, "file_name": "a"}], "annotations": []}"#.to_owned(), "line 1"),
        (format!(r#"{{"images": [{{"id":1,"file_name":"a"}}], "annotations": [{{"image_id": 1, "caption": "{}"}}]}}"#, "x".repeat(5000)), "5000 bytes"),
        (TRAIN[..200].to_owned(), "line"),
        (deep, "EOF"), // skipping does not recurse
    ];
    for (text, part) in cases {
        let dir = downloaded();
        put(&dir, "annotations/captions_train2014.json", text.as_bytes());
        assert!(error(&dir).contains(part), "{part} in {}", error(&dir));
    }
    let noise = stackgan_noise::Noise::new(6);
    let dir = downloaded();
    for case in 0..3000 {
        let mut d = noise.draws(stackgan_noise::Stream::Test, 0, case);
        let mut bytes = TRAIN.as_bytes().to_vec();
        for _ in 0..=d.below(3) {
            let at = d.below(bytes.len() as u64) as usize;
            bytes[at] = d.below(256) as u8;
        }
        put(&dir, "annotations/captions_train2014.json", bytes);
        let _ = Annotations::read(&dir.path().join("annotations/captions_train2014.json"));
    }
}
