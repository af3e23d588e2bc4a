//! Tests of the prepared file: what was written is read back, and damage is reported.

use super::{Damaged, ImportOptions, Prepared, import};
use crate::crop::{Fit, PictureSize};
use crate::dataset::Split;
use crate::testing::{dataset, options, prepared};
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn everything_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path(), 130, 3);
    let out = dir.path().join("p.safetensors");
    let told = AtomicUsize::new(0);
    import(&source, &out, &options(PictureSize::Stage1), &|_, of| {
        assert_eq!(of, 130);
        told.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(told.into_inner(), 130);
    let data = Prepared::open(&out).unwrap();
    let captions = source.caption_count();
    assert_eq!((data.len(), data.caption_count(), data.name()), (130, captions, "small"));
    let mut row = 0;
    for (i, item) in source.items.iter().enumerate() {
        assert_eq!(
            (data.key(i), data.class(i), data.split(i)),
            (&*item.key, Some(item.class), Some(item.split))
        );
        assert_eq!(data.captions(i), item.captions);
        assert_eq!(data.caption_range(i), row..row + item.captions.len());
        row += item.captions.len();
        let bytes = std::fs::read(&item.image).unwrap();
        assert_eq!(data.manifest().sha256[i], crate::digest::sha256(&bytes));
        let image = crate::crop::decode(&bytes, &item.image).unwrap();
        let how = options(PictureSize::Stage1).preparation;
        let square = crate::crop::prepare(image, item.bounding_box, how, &item.image).unwrap();
        assert_eq!(data.image(i).unwrap(), square);
    }
    assert_eq!(data.indices(Split::Train).len(), 104);
    assert_eq!(data.indices(Split::Test), (0..130).filter(|i| i % 5 == 4).collect::<Vec<_>>());
    assert!(data.image(130).is_err());
    assert_eq!((data.key(130), data.captions(130).len(), data.class(130)), ("", 0, None));
    // Any safetensors reader can open it.
    let bytes = std::fs::read(&out).unwrap();
    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.tensor("images").unwrap().shape(), [130, 76, 76, 3]);
}

#[test]
fn copies_between_the_splits_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path(), 10, 2);
    std::fs::copy(&source.items[3].image, &source.items[9].image).unwrap();
    let out = dir.path().join("p.safetensors");
    let report = import(&source, &out, &options(PictureSize::Stage1), &|_, _| {}).unwrap();
    let said = report.copies.unwrap().to_string();
    let (test, train) = (&source.items[9].key, &source.items[3].key);
    assert!(said.contains(&format!("(first: {test} = {train})")), "{said}");
}

/// A file of squeezed pictures has the metadata that earlier versions wrote.
#[test]
fn only_the_centre_is_in_the_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = dataset(dir.path(), 4, 2);
    source.items.iter_mut().for_each(|item| item.bounding_box = None);
    let of = |fit| {
        let out = dir.path().join(format!("{fit:?}.safetensors"));
        let mut how = options(PictureSize::Stage1);
        how.preparation.fit = fit;
        import(&source, &out, &how, &|_, _| {}).unwrap();
        Prepared::open(&out).unwrap()
    };
    let (squeezed, centred) = (of(Fit::Squeeze), of(Fit::Centre));
    let described = |data: &Prepared| serde_json::to_value(data.manifest()).unwrap();
    assert!(described(&squeezed).get("fit").is_none());
    assert_eq!(described(&centred)["fit"], "centre");
    assert_eq!(squeezed.fingerprint(), centred.fingerprint());
    assert_ne!(squeezed.identity(), centred.identity());
    assert_ne!(squeezed.pixels(), centred.pixels());
    let parts = ["residual", "none", "as-stored", ""].map(|part| format!("{part:?}")).concat();
    assert!(crate::digest::sha256(parts).starts_with(&squeezed.pixels()), "as ever");
    assert!((0..4).any(|i| squeezed.image(i).unwrap() != centred.image(i).unwrap()));
}

#[test]
fn equal_input_gives_equal_bytes_at_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path(), 70, 3);
    let bytes = [1, 2, 4].map(|threads| {
        let out = dir.path().join(format!("{threads}.safetensors"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| import(&source, &out, &options(PictureSize::Stage2), &|_, _| {})).unwrap();
        std::fs::read(&out).unwrap()
    });
    assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2]);
}

#[test]
fn the_fingerprint_is_of_the_contents_and_not_of_the_size() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path(), 6, 2);
    let out = dir.path().join("p.safetensors");
    let print = |source: &_, size| {
        import(source, &out, &options(size), &|_, _| {}).unwrap();
        Prepared::open(&out).unwrap().fingerprint().to_owned()
    };
    let original = print(&source, PictureSize::Stage1);
    assert_eq!(original, print(&source, PictureSize::Stage2));
    let mut prints = std::collections::BTreeSet::from([original]);
    for change in 0..5 {
        let mut other = source.clone();
        match change {
            0 => other.items[3].captions[0].push('x'),
            1 => other.items[3].class += 1,
            2 => other.items[3].split = Split::Test,
            3 => other.items.swap(1, 2),
            _ => other.items[3].image = other.items[4].image.clone(),
        }
        assert!(prints.insert(print(&other, PictureSize::Stage1)), "change {change} is not seen");
    }
}

/// All damaged pictures are listed together, and nothing is left behind.
#[test]
fn all_damaged_pictures_are_listed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path(), 100, 3);
    for i in [3, 50, 97] {
        let path = &source.items[i].image;
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }
    std::fs::remove_file(&source.items[60].image).unwrap();
    let out = dir.path().join("p.safetensors");
    let before = std::fs::read_dir(dir.path()).unwrap().count();
    let error =
        import(&source, &out, &options(PictureSize::Stage1), &|_, _| {}).unwrap_err().to_string();
    assert!(error.starts_with("4 of 100 pictures cannot be used"), "{error}");
    for name in [3, 50, 60, 97] {
        let path = source.items[name].image.display();
        assert!(error.contains(&format!("{path}: ")), "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), before);
    assert!(
        import(
            &crate::dataset::Dataset::default(),
            &out,
            &options(PictureSize::Stage1),
            &|_, _| {}
        )
        .is_err()
    );
}

/// A fingerprint becomes part of file names, and must not lead elsewhere.
#[test]
fn a_fingerprint_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("p.safetensors");
    import(&dataset(dir.path(), 4, 2), &out, &options(PictureSize::Stage1), &|_, _| {}).unwrap();
    let print = Prepared::open(&out).unwrap().fingerprint().to_owned();
    let mut bytes = std::fs::read(&out).unwrap();
    let at = bytes.windows(64).position(|part| part == print.as_bytes()).unwrap();
    bytes[at..at + 6].copy_from_slice(b"../../");
    std::fs::write(&out, bytes).unwrap();
    let said = Prepared::open(&out).unwrap_err().to_string();
    assert!(said.contains("fingerprint") && said.contains("64 hexadecimal digits"), "{said}");
}

/// The rest is as if they had never been there, except for a note.
#[test]
fn damaged_pictures_are_left_out_where_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path(), 100, 3);
    let mut sound = source.clone();
    let gone = [3, 64, 97, 99];
    sound.items.retain(|item| gone.iter().all(|i| item.key != format!("k{i}")));
    let (out, plain) = (dir.path().join("p.safetensors"), dir.path().join("q.safetensors"));
    for i in gone {
        std::fs::write(&source.items[i].image, "no picture").unwrap();
    }
    std::fs::remove_file(&source.items[97].image).unwrap();
    let how = ImportOptions { damaged: Damaged::LeaveOut, ..options(PictureSize::Stage1) };
    let (first, second) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let report = import(&source, &out, &how, &|_, of| {
        if of == 100 { &first } else { &second }.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!((first.into_inner(), second.into_inner()), (100, 96));
    let left: Vec<&str> = report.left_out.iter().map(|picture| &*picture.key).collect();
    assert_eq!(left, ["k3", "k64", "k97", "k99"]);
    assert!(report.left_out[0].reason.contains("cannot be decoded"), "{:?}", report.left_out);

    let expected = import(&sound, &plain, &how, &|_, _| {}).unwrap();
    assert_eq!(expected.left_out, []);
    let (data, expected) = (Prepared::open(&out).unwrap(), Prepared::open(&plain).unwrap());
    let note = "4 pictures that cannot be used left out (k3, k64, k97, k99)";
    assert_eq!((&data.manifest().notes, &expected.manifest().notes), (&vec![note.into()], &vec![]));
    assert_eq!(data.manifest().keys, expected.manifest().keys);
    assert_eq!(data.fingerprint(), expected.fingerprint());
    assert_eq!(data.indices(Split::Train).len(), 78);
    for split in Split::ALL {
        assert_eq!(data.indices(split), expected.indices(split));
    }
    for i in 0..96 {
        assert_eq!(data.image(i).unwrap(), expected.image(i).unwrap());
        assert_eq!(data.captions(i), expected.captions(i));
    }

    // No picture is left: rejected, and the previous file stays.
    let before = std::fs::read(&out).unwrap();
    let mut none = source;
    none.items.retain(|item| gone.iter().any(|i| item.key == format!("k{i}")));
    let said = import(&none, &out, &how, &|_, _| {}).unwrap_err().to_string();
    assert!(said.starts_with("no picture of 4 can be used"), "{said}");
    assert!(before == std::fs::read(&out).unwrap());
}

/// A bit of the disk that changes by itself: the picture is named, and the others are read.
#[test]
fn a_changed_bit_is_noticed_where_it_is_read() {
    let (_dir, path, _) = prepared(5, 2, PictureSize::Stage1);
    let whole = std::fs::read(&path).unwrap();
    let picture = 76 * 76 * 3;
    let images = whole.len() - 5 * 76 * 4 - 5 * picture;
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        Prepared::open(&path)
    };
    for (at, damaged) in [(0, 0), (picture - 1, 0), (picture, 1), (5 * picture - 1, 4)] {
        let data = changed(images + at).unwrap();
        for i in 0..5 {
            let read = data.image(i);
            assert_eq!(read.is_err(), i == damaged, "{at} {i}");
            if let Err(error) = read {
                let line = format!("line {})", at / (76 * 3) % 76 + 1);
                let picture = format!("(picture {} of 5, ", i + 1);
                let text = error.to_string();
                assert!(text.contains("CRC-32C"), "{text}");
                assert!(text.contains(&picture) && text.contains(&line), "{text}");
            }
        }
    }
    let bird = images - 5 - 8; // a letter of the last captions, in front of the splits
    let error = changed(bird).unwrap_err().to_string();
    assert!(error.contains("captions, classes and splits"), "{error}");
    assert!(changed(images - 1).is_err(), "a split");

    // A file of before has no sums: it is read as it is.
    let mut early = whole.clone();
    for (name, other) in [(b"row_crc32c", b"row_unread"), (b"les_crc32c", b"les_unread")] {
        let at = early.windows(name.len()).position(|part| part == name).unwrap();
        early[at..at + name.len()].copy_from_slice(other);
    }
    early[images] ^= 4;
    std::fs::write(&path, &early).unwrap();
    assert_eq!(Prepared::open(&path).unwrap().image(0).unwrap()[0], early[images]);
}
