//! Zip64 archives: read as Python's `zipfile` writes them, and rejected if their numbers contradict
//! the file.

use super::*;

/// The form of an archive of `n` entries `0`, `1`, ….
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    /// With Zip64's end record.
    End,
    /// Also with offsets and sizes of entries in extra fields.
    Entries,
}

/// The archive, and the offsets of its directory and of Zip64's end record.
fn archive(n: u32, form: Form) -> (Vec<u8>, usize, usize) {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let small = |number: u32| if form == Form::Entries { u32::MAX } else { number }.to_le_bytes();
    for i in 0..n {
        let (name, contents) = (i.to_string(), i.to_le_bytes());
        let mut crc = Crc::new();
        crc.update(&contents);
        let at = out.len() as u32;
        let name_len = (name.len() as u16).to_le_bytes();
        let sum = crc.sum().to_le_bytes();
        out.extend(
            [LOCAL, &[0; 10][..], &sum, &[4, 0, 0, 0].repeat(2), &name_len, &[0; 2]].concat(),
        );
        out.extend([name.as_bytes(), &contents].concat());
        // Preceded by an extra field of another kind.
        let extra = [
            &[9, 9, 1, 0, 7, 1, 0, 24, 0][..],
            &[4, 0, 0, 0, 0, 0, 0, 0].repeat(2),
            &at.to_le_bytes(),
            &[0; 4],
        ];
        let extra = if form == Form::Entries { extra.concat() } else { Vec::new() };
        let lengths = [name_len, (extra.len() as u16).to_le_bytes()].concat();
        directory.extend(
            [CENTRAL, &[0; 12][..], &sum, &small(4), &small(4), &lengths, &[0; 10]].concat(),
        );
        directory.extend([&small(at)[..], name.as_bytes(), &extra].concat());
    }
    let (start, wide) = (out.len(), |n: usize| (n as u64).to_le_bytes());
    out.extend(&directory);
    let record = out.len();
    let (mut count, mut place) = (n as u16, start as u32);
    if form != Form::Plain {
        out.extend([END64, &wide(44)[..], &[45, 0, 45, 0], &[0; 8]].concat());
        out.extend([n as usize, n as usize, directory.len(), start].map(wide).concat());
        out.extend([LOCATOR, &[0; 4][..], &wide(record), &[1, 0, 0, 0]].concat());
        (count, place) = (u16::MAX, u32::MAX);
    }
    let (count, size) = (count.to_le_bytes(), (directory.len() as u32).to_le_bytes());
    out.extend([END, &[0; 4][..], &count, &count, &size, &place.to_le_bytes(), &[0; 2]].concat());
    (out, start, record)
}

fn open(bytes: &[u8]) -> Step<Archive<'_>> {
    Archive::open(bytes, &mut Budget::for_input(bytes.len()))
}

#[test]
fn more_entries_than_two_bytes_count() {
    for (n, form) in [
        (0, Form::End),
        (3, Form::Entries),
        (65_534, Form::Plain),
        (65_535, Form::Plain),
        (65_535, Form::End),
        (70_001, Form::End),
        (70_001, Form::Entries),
    ] {
        let (bytes, ..) = archive(n, form);
        let archive = open(&bytes).unwrap();
        assert_eq!(archive.entries().len(), n as usize);
        for i in (0..n).step_by(997).chain(n.checked_sub(1)) {
            let entry = archive.named(i.to_string().as_bytes()).unwrap();
            let (_, contents) = archive.read(entry, &mut Budget::of(0)).unwrap();
            assert_eq!(*contents, i.to_le_bytes());
        }
        assert!(archive.named(n.to_string().as_bytes()).is_none());
    }
}

/// Whatever number is changed, the archive is rejected or has the same contents.
#[test]
fn numbers_of_zip64_are_checked() {
    let (whole, start, record) = archive(5, Form::Entries);
    let said =
        |bytes: &[u8]| open(bytes).map(|archive| archive.entries().len()).map_err(|f| f.expected);
    assert_eq!(said(&whole), Ok(5));
    let set = |at: usize, number: u64| {
        let mut bytes = whole.clone();
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        said(&bytes)
    };
    let (counts, size, place) = (record + 24, record + 40, record + 48);
    for far in [u64::MAX, 1 << 63, whole.len() as u64, start as u64 + 1] {
        for at in [counts, counts + 8, size, place, record + END64_SIZE + 8] {
            assert!(set(at, far).is_err(), "{far} at {}", at - record);
        }
    }
    let mut bytes = whole.clone();
    bytes[counts..counts + 16].copy_from_slice(&[u64::MAX.to_le_bytes(); 2].concat());
    assert!(said(&bytes).is_err()); // nothing is allocated from a count
    // The first entry's extra field: sizes and offset.
    let first = start + 46 + 1 + 9;
    for (at, number) in
        [(first + 8, 1 << 40), (first + 8, 40), (first + 16, u64::MAX), (first + 16, 70)]
    {
        assert!(set(at, number).is_err(), "{number}");
    }
    let mut bytes = whole.clone();
    bytes[first - 4] = 2; // of another kind
    assert_eq!(said(&bytes), Err("the field of Zip64 of an entry".to_owned()));
    bytes.clone_from(&whole);
    bytes[record + END64_SIZE] = 0; // no locator
    assert_eq!(said(&bytes), Err("the end record of Zip64 in front of this one".to_owned()));
    bytes.clone_from(&whole);
    bytes[record] = 0;
    assert_eq!(said(&bytes), Err("the end record of Zip64".to_owned()));
    for cut in 0..whole.len() {
        assert!(open(&whole[..cut]).is_err());
        assert!(open(&whole[cut + 1..]).is_err());
    }
}
