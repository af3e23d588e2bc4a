//! Hostile or wrong `.npy`, `.npz`, `.mat`, `.t7` and `.pth` files: code, wrong lengths,
//! decompression bombs, data after the end.

use crate::packs::{self, Record};
use stackgan_data::Result;
use stackgan_data::formats::torch7::{self, Value};
use stackgan_data::formats::{matlab, npy, npz, torch_pickle};
use stackgan_data::noise::{Noise, Stream};
use std::path::Path;

const FILE: &str = "evil";

/// Returns the error's text. Asserts that it names the file and has a remedy.
fn refused<T>(read: Result<T>) -> String {
    let Err(error) = read else { panic!("accepted") };
    let error = error.to_string();
    assert!(error.contains("file: evil (") && error.contains("  do: "), "{error}");
    error
}

fn npy_refused(bytes: &[u8]) -> String {
    refused(npy::decode(bytes, Path::new(FILE)))
}

fn npz_refused(bytes: &[u8]) -> String {
    refused(npz::decode(bytes, Path::new(FILE)))
}

fn matlab_refused(bytes: &[u8]) -> String {
    refused(matlab::decode(bytes, Path::new(FILE)))
}

fn t7_refused(bytes: &[u8]) -> String {
    refused(torch7::decode(bytes, Path::new(FILE)))
}

fn pth_refused(bytes: &[u8]) -> String {
    refused(torch_pickle::decode(bytes, Path::new(FILE)))
}

fn named(records: &[Record], end: &str) -> Vec<u8> {
    records.iter().find(|record| record.name.ends_with(end)).unwrap().bytes.clone()
}

/// Returns `bytes` with the part after `before` replaced.
fn altered(bytes: &[u8], before: &[u8], with: &[u8]) -> Vec<u8> {
    let at = bytes.windows(before.len()).position(|part| part == before).unwrap() + before.len();
    [&bytes[..at], with, &bytes[at + with.len()..]].concat()
}

#[test]
fn files_that_are_cut_or_longer_are_refused() {
    let npy_file = named(&packs::npy(), "npy-f4");
    let mat_file = named(&packs::matlab(), "labels-deflated");
    let t7_file = named(&packs::torch7(), "record");
    let torch = packs::torch_pickle();
    let (legacy, zipped) = (named(&torch, "state-legacy"), named(&torch, "state-zip"));
    type Refused = fn(&[u8]) -> String;
    let readers: [(&[u8], Refused); 5] = [
        (&npy_file, npy_refused),
        (&mat_file, matlab_refused),
        (&t7_file, t7_refused),
        (&legacy, pth_refused),
        (&zipped, pth_refused),
    ];
    for (whole, refused) in readers {
        for length in 0..whole.len() {
            // A .mat without a variable is a complete file.
            if length != 128 || !whole.starts_with(b"MATLAB") {
                refused(&whole[..length]);
            }
        }
        for tail in [&b"\0"[..], b"PK\x03\x04", b"N.", &[0; 64]] {
            refused(&[whole, tail].concat());
        }
    }
}

#[test]
fn headers_of_numpy_are_plain_dicts() {
    let file = |version: [u8; 2], header: &str| {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY", &version[..], &length, header.as_bytes(), &[0; 8]].concat()
    };
    let whole = "{'shape': (2,), \"fortran_order\": False, 'descr': '<f4'}  \n";
    assert_eq!(npy::decode(&file([1, 0], whole), Path::new(FILE)).unwrap().shape(), [2]);
    let python2 = "{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), }";
    assert!(npy::decode(&file([1, 0], python2), Path::new(FILE)).is_ok());
    for header in [
        "",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (2,)}",
        "{'descr': 'f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4",
    ] {
        npy_refused(&file([1, 0], header));
    }
    assert!(npy_refused(&file([4, 0], whole)).contains("version"));
    assert!(npy_refused(b"PK\x03\x04").contains("not an .npy file"));
}

#[test]
fn archives_are_checked() {
    let whole = named(&packs::npy(), "npz-stored");
    let central = b"PK\x01\x02".as_slice();
    let read = |bytes: &[u8]| -> Result<()> {
        let archive = npz::decode(bytes, Path::new(FILE))?;
        for name in archive.names() {
            archive.member(&name)?;
        }
        Ok(())
    };
    read(&whole).unwrap();
    // After the signature: 4 versions and flags at 4, method at 6, checksum at 12, sizes at 16 and
    // 20.
    let at = whole.windows(4).position(|part| part == central).unwrap();
    let with = |place: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at + 4 + place] = byte;
        refused(read(&bytes))
    };
    assert!(with(4, 1).contains("encryption"));
    assert!(with(6, 12).contains("method 12"));
    assert!(with(12, whole[at + 16] ^ 1).contains("CRC-32"));
    assert!(with(19, 0x7f).contains("overlap"));
    assert!(with(20, 0).contains("method 0"));
    // Two entries with the same name: readers differ in which one they use.
    let size =
        |place: usize| usize::from(u16::from_le_bytes([whole[at + place], whole[at + place + 1]]));
    let entry = &whole[at..at + 46 + size(28) + size(30) + size(32)];
    let mut twice = [&whole[..at], entry, &whole[at..]].concat();
    let end = twice.len() - 22;
    twice[end + 8] += 1;
    twice[end + 10] += 1;
    let directory = u32::from_le_bytes(twice[end + 12..end + 16].try_into().unwrap());
    let longer = directory + entry.len() as u32;
    twice[end + 12..end + 16].copy_from_slice(&longer.to_le_bytes());
    assert!(refused(read(&twice)).contains("two named `mu.npy`"));
    let mut broken = whole.clone();
    broken[0] = 0;
    assert!(refused(read(&broken)).contains("local header"));
    assert!(npz_refused(b"\x93NUMPY").contains("end record"));
    // An end record that counts more entries than there are, or that indicates Zip64.
    let end = whole.len() - 22;
    let mut more = whole.clone();
    more[end + 10] = 200;
    npz_refused(&more);
    more[end + 10..end + 12].fill(0xff);
    npz_refused(&more);
    more[end + 16..end + 20].fill(0xff);
    assert!(npz_refused(&more).contains("Zip64"));
}

#[test]
fn other_matlab_files_are_refused_by_name() {
    let hdf5 = [&b"MATLAB 7.3 MAT-file".repeat(40)[..512], b"\x89HDF\r\n\x1a\n"].concat();
    assert!(matlab_refused(&hdf5).contains("7.3"));
    assert!(matlab_refused(&hdf5[100..]).contains("no header"));
    assert!(matlab_refused(&[0; 20]).contains("MATLAB 4"));
    assert!(matlab_refused(b"").contains("no header"));
    let whole = named(&packs::matlab(), "labels-deflated");
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1; // the checksum of the stream
    assert!(matlab_refused(&flipped).contains("compressed data is damaged"));
    let mut unknown = whole;
    unknown[128] = 16;
    assert!(matlab_refused(&unknown).contains("type 16"));
}

fn word(n: i32) -> [u8; 4] {
    n.to_le_bytes()
}

fn string(text: &[u8]) -> Vec<u8> {
    [&word(text.len() as i32), text].concat()
}

/// Returns a tensor with its own storage of 6 floats.
fn tensor(shape: &[i64], strides: &[i64], offset: i64) -> Vec<u8> {
    let mut bytes = [word(4), word(1)].concat();
    bytes.extend([string(b"V 1"), string(b"torch.FloatTensor")].concat());
    bytes.extend(word(shape.len() as i32));
    for number in shape.iter().chain(strides).chain([&offset]) {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([word(4), word(2)].concat());
    bytes.extend([string(b"V 1"), string(b"torch.FloatStorage")].concat());
    bytes.extend(6i64.to_le_bytes());
    bytes.extend((0..6).flat_map(|i| (i as f32).to_le_bytes()));
    bytes
}

/// Compares with sums that cannot overflow.
#[test]
fn five_thousand_views_are_within_their_storage() {
    let noise = Noise::new(5);
    let (mut read, mut beyond) = (0, 0);
    for case in 0..5000 {
        let mut d = noise.draws(Stream::Test, 1, case);
        let mut number = || match d.below(12) {
            0 => -1,
            1 => i64::MAX,
            2 => i64::MAX / 3,
            n => n as i64 % 5,
        };
        let dims = 1 + case as usize % 3;
        let shape: Vec<i64> = (0..dims).map(|_| number()).collect();
        let strides: Vec<i64> = (0..dims).map(|_| number()).collect();
        let offset = number();
        let bytes = tensor(&shape, &strides, offset);
        let decoded = torch7::decode(&bytes, Path::new(FILE));
        let negative = shape.iter().chain(&strides).any(|&n| n < 0) || offset < 1;
        let empty = shape.contains(&0);
        let last: i128 =
            shape.iter().zip(&strides).map(|(&n, &s)| (n as i128 - 1) * s as i128).sum();
        let count: f64 = shape.iter().map(|&n| n as f64).product();
        let fits = !negative && (empty || (last + offset as i128 <= 6 && count <= 1e6));
        match decoded {
            Ok(document) => {
                assert!(fits, "{shape:?} {strides:?} {offset}");
                let Value::Tensor(found) = document.root() else { panic!("no tensor") };
                assert_eq!(found.to_f32().len(), found.len());
                read += 1;
            }
            Err(_) => {
                assert!(!fits, "{shape:?} {strides:?} {offset}");
                beyond += 1;
            }
        }
    }
    assert!(read > 500 && beyond > 500, "{read} {beyond}");
}

/// A tensor with elements but without a storage is not an empty tensor.
#[test]
fn a_tensor_without_a_storage_has_no_elements() {
    let without = |shape: &[i64]| {
        let mut bytes = [word(4), word(1)].concat();
        bytes.extend([string(b"V 1"), string(b"torch.FloatTensor")].concat());
        bytes.extend(word(shape.len() as i32));
        for number in shape.iter().chain(shape).chain([&1]) {
            bytes.extend(number.to_le_bytes());
        }
        [bytes, word(0).to_vec()].concat()
    };
    for (shape, read) in [(&[][..], &[0][..]), (&[0], &[0]), (&[2, 0], &[2, 0])] {
        let bytes = without(shape);
        let document = torch7::decode(&bytes, Path::new(FILE)).unwrap();
        let Value::Tensor(found) = document.root() else { panic!("no tensor") };
        assert_eq!(found.shape(), read);
    }
    assert!(t7_refused(&without(&[2, 3])).contains("within its storage"));
}

/// Functions and objects of unknown classes are never executed.
#[test]
fn functions_and_other_classes_are_passed_over_and_never_read() {
    let object =
        [&[word(4), word(7)].concat()[..], &string(b"V 1"), &string(b"nn.Linear"), &word(0)]
            .concat();
    let function = [&[word(8), word(8)].concat()[..], &string(b"\x1bLJ code"), &word(0)].concat();
    let oldest = [&word(6)[..], &string(b"code"), &word(0)].concat();
    let legacy = [&[word(7), word(9)].concat()[..], &string(b"code"), &word(0)].concat();
    let values = [&object, &function, &oldest, &legacy, &tensor(&[6], &[1], 1)];
    let mut table = [word(3), word(100), word(5)].concat();
    for (i, value) in values.iter().enumerate() {
        table.extend([&word(2)[..], &string(&[b'a' + i as u8]), value].concat());
    }
    let document = torch7::decode(&table, Path::new(FILE)).unwrap();
    let read = document.table().unwrap();
    assert_eq!(read.tensor("e").unwrap().len(), 6);
    assert!(refused(read.tensor("a")).contains("class nn.Linear"));
    for key in ["b", "c", "d"] {
        assert!(matches!(read.get(key), Value::Function));
        assert!(refused(read.text(key)).contains("a Lua function"));
    }
}

#[test]
fn references_are_to_objects_of_the_same_type() {
    let pair = |first: &[u8], second: &[u8]| {
        let key = |n: f64| [&word(1)[..], &n.to_le_bytes()].concat();
        [&[word(3), word(100), word(2)].concat()[..], &key(1.0), first, &key(2.0), second].concat()
    };
    let empty = [word(3), word(5), word(0)].concat();
    let back = |tag: i32, index: i32| [word(tag), word(index)].concat();
    assert!(torch7::decode(&pair(&empty, &back(3, 5)), Path::new(FILE)).is_ok());
    // A table that contains itself is allowed.
    let cycle = pair(&back(3, 100), &word(0));
    let document = torch7::decode(&cycle, Path::new(FILE)).unwrap();
    assert!(matches!(document.table().unwrap().list().next(), Some(Value::Table(_))));
    let whole = tensor(&[6], &[1], 1);
    for (first, second) in
        [(&empty, back(4, 5)), (&empty, back(8, 5)), (&whole, back(3, 1)), (&whole, back(8, 2))]
    {
        assert!(t7_refused(&pair(first, &second)).contains("another type"));
    }
    // A storage in the place of a table's tensor is not a tensor, and vice versa.
    let document = pair(&whole, &back(4, 2));
    let document = torch7::decode(&document, Path::new(FILE)).unwrap();
    let kinds: Vec<String> = document.table().unwrap().list().map(|value| value.kind()).collect();
    assert_eq!(kinds, ["a tensor of shape [6]", "a storage of 6 elements"]);
    let other_storage = altered(&whole, b"V 1\x12\0\0\0torch.", b"Doubl");
    assert!(t7_refused(&other_storage).contains("its storage"));
    for (bytes, part) in [
        (&b"4\n1\n3\nV 1\n"[..], "ASCII"),
        (&[0, 0, 0, 4, 0, 0, 0, 1], "most significant byte first"),
        (&[9, 0, 0, 0], "type 9"),
        (&[5, 0, 0, 0, 2, 0, 0, 0], "0 or 1"),
        (&[2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], "negative"),
        (&[2, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f], "ends early"),
    ] {
        assert!(t7_refused(bytes).contains(part), "{part}");
    }
}

/// Code in weights: the additional names allowed in `.pth` cannot be used to run other code.
#[test]
fn code_in_weights_is_refused_by_name() {
    let file = |object: &str| {
        let head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
        [&head[..], object.as_bytes(), b"(lp0\nS'0'\na.", &4u64.to_le_bytes(), &[0; 16]].concat()
    };
    let storage = "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\nNtQ";
    let tensor = format!("ctorch._utils\n_rebuild_tensor\n({storage}I0\n(I4\nt(I1\nttR.");
    assert!(torch_pickle::decode(&file(&tensor), Path::new(FILE)).is_ok());
    for name in [
        "os\nsystem",
        "builtins\neval",
        "__builtin__\ngetattr",
        "torch\nload",
        "torch.jit\nload",
        "torch\nTensor",
        "torch\nBFloat16Storage",
        "torch.storage\n_load_from_bytes",
        "torch._utils\n_rebuild_device_tensor_from_numpy",
        "torch._tensor\n_rebuild_from_type_v2",
        "torch.nn.modules.linear\nLinear",
        "collections\ndefaultdict",
        "collections\nOrderedDict2",
    ] {
        let error = pth_refused(&file(&format!("c{name}\n(S'x'\ntR.")));
        assert!(error.contains(&name.replace('\n', ".")), "{error}");
    }
    for (object, part) in [
        ("(S'module'\nNS'net.py'\nS'code'\ntQ.", "a whole network"),
        ("(S'storage'\nNS'0'\nS'cpu'\nI4\nNtQ.", "persistent id"),
        ("(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI-4\nNtQ.", "persistent id"),
        ("Px\n.", "a persistent id"),
        ("ccollections\nOrderedDict\n(NtR.", "malformed dict"),
        ("ccollections\nOrderedDict\n((lp0\n(lp1\nNaatR.", "malformed dict"),
        ("ccollections\nOrderedDict\nNR.", "malformed dict"),
        ("ctorch._utils\n_rebuild_parameter\n(NtR.", "malformed parameter"),
        ("ctorch._utils\n_rebuild_tensor\n(NI0\n(t(ttR.", "malformed tensor"),
        ("ctorch\nFloatStorage\n)R.", "malformed"),
        ("(d.", "a known storage"),
    ] {
        let error = pth_refused(&file(object));
        assert!(error.contains(part), "{object}: {error}");
    }
    for (shape, strides, offset) in [("I5\n", "I1\n", 0), ("I2\n", "I4\n", 0), ("I4\n", "I1\n", 1)]
    {
        let tensor =
            format!("ctorch._utils\n_rebuild_tensor\n({storage}I{offset}\n({shape}t({strides}ttR.");
        assert!(pth_refused(&file(&tensor)).contains("within its storage"));
    }
    // A part of a storage, as in legacy files.
    let part = |view: &str| {
        let storage = format!("(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\n({view}ttQ");
        file(&format!("ctorch._utils\n_rebuild_tensor\n({storage}I0\n(I2\nt(I1\nttR."))
    };
    assert!(torch_pickle::decode(&part("S'1'\nI2\nI2\n"), Path::new(FILE)).is_ok());
    for view in ["S'1'\nI3\nI2\n", "S'1'\nI2\nI1\n", "S'1'\nI9223372036854775807\nI2\n"] {
        pth_refused(&part(view));
    }
    let other = file(&tensor.replace("FloatStorage", "DoubleStorage"));
    pth_refused(&other);
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(pth_refused(&tar).contains("torch 0.1"));
    assert!(pth_refused(b"\x80\x02}q\x00.").contains("another format"));
}
