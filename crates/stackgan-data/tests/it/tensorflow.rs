//! Checkpoints: those that TensorFlow 0.12 wrote (`tests/golden/tensorflow_release.py`), damaged
//! ones, and ones that it does not write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use stackgan_data::formats::tensorflow::Checkpoint;

use crate::tables::{bytes, count, index, masked, packed, slices, table};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path).unwrap().unwrap()
}

fn all(checkpoint: &Checkpoint) -> stackgan_data::Result<BTreeMap<String, Vec<f32>>> {
    checkpoint.read(&checkpoint.shapes().into_keys().collect())
}

/// The same variables of one run, from both formats.
#[test]
fn both_formats_of_tensorflow_hold_the_same_numbers() {
    let (old, new) = (open(&golden("tensorflow_release.ckpt")), golden("tensorflow_stage1.ckpt"));
    let new = open(&new);
    assert_eq!(new.shapes().len(), 54);
    assert_eq!(new.shapes()["g_net/custom_conv2d/custom_conv2d/w"], [1, 1, 32, 8]);
    let shapes = old.shapes();
    assert!(new.shapes().into_iter().all(|(name, shape)| shapes[&name] == shape));
    let names: BTreeSet<String> = new.shapes().into_keys().collect();
    let (old_values, new_values) = (old.read(&names).unwrap(), all(&new).unwrap());
    assert_eq!(old_values, new_values);
    assert!(new_values.values().flatten().all(|x| x.is_finite()));
    assert_eq!(old.read(&["beta1_power".to_owned()].into()).unwrap()["beta1_power"], [0.5]);
    // A counter of whole numbers is named, but cannot be read as a weight.
    assert_eq!(old.shapes()["step"], [0; 0]);
    let error = old.read(&["step".to_owned()].into()).unwrap_err().to_string();
    assert!(
        error.contains("`step`") && error.contains("numbers of TensorFlow's kind 9"),
        "{error}"
    );
}

#[test]
fn every_name_of_a_checkpoint_opens_it() {
    for name in ["", ".index", ".data-00000-of-00001"] {
        let checkpoint = open(&golden(&format!("tensorflow_stage1.ckpt{name}")));
        assert!(checkpoint.file().ends_with("tensorflow_stage1.ckpt.index"), "{name}");
    }
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(golden("tensorflow_release.ckpt")).unwrap();
    fs::write(dir.path().join("m.ckpt-7-00000-of-00001"), &whole).unwrap();
    for name in ["m.ckpt-7", "m.ckpt-7-?????-of-00001", "m.ckpt-7-00000-of-00001"] {
        assert_eq!(open(&dir.path().join(name)).shapes().len(), 136, "{name}");
    }
    // A part of a checkpoint could be taken for the whole of a smaller one.
    fs::rename(dir.path().join("m.ckpt-7-00000-of-00001"), dir.path().join("m-00001-of-00003"))
        .unwrap();
    let error = Checkpoint::open(&dir.path().join("m-00001-of-00003")).unwrap_err().to_string();
    assert!(error.contains("a part of a checkpoint"), "{error}");
    fs::write(dir.path().join("cut.ckpt.index"), &whole[..1000]).unwrap();
    let error = Checkpoint::open(&dir.path().join("cut.ckpt")).unwrap_err().to_string();
    assert!(
        error.contains("no index of a checkpoint") && error.contains("cut.ckpt.index"),
        "{error}"
    );
    assert!(Checkpoint::open(&golden("README.md")).unwrap().is_none());
    assert!(Checkpoint::open(&golden("nothing.ckpt")).unwrap().is_none());
    let alone = dir.path().join("x.ckpt.data-00000-of-00001");
    fs::write(&alone, [0]).unwrap();
    let error = Checkpoint::open(&alone).unwrap_err().to_string();
    assert!(error.contains("without its index") && error.contains("x.ckpt.index"), "{error}");
}

/// A changed bit is found, or is one that holds nothing.
#[test]
fn changed_bits_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["tensorflow_stage1.ckpt.index", "tensorflow_stage1.ckpt.data-00000-of-00001"];
    let whole = all(&open(&golden("tensorflow_stage1.ckpt"))).unwrap();
    for damaged in names {
        let (mut found, mut unread) = (0, 0);
        let length = fs::metadata(golden(damaged)).unwrap().len() as usize;
        for at in (0..length).step_by(length / 400) {
            for name in names {
                let mut bytes = fs::read(golden(name)).unwrap();
                if name == damaged {
                    bytes[at] ^= 1 << (at % 8);
                }
                fs::write(dir.path().join(name), bytes).unwrap();
            }
            let opened = Checkpoint::open(&dir.path().join("tensorflow_stage1.ckpt"));
            match opened.and_then(|open| open.map(|open| all(&open)).transpose()) {
                Err(error) => {
                    assert!(error.to_string().contains(damaged), "{error}");
                    found += 1;
                }
                // The magic number is another, or the place of what nobody reads.
                Ok(None) => unread += 1,
                Ok(Some(values)) => {
                    assert_eq!(values, whole, "byte {at} of {damaged}");
                    unread += 1;
                }
            }
        }
        assert!(found > 390 && unread < 20, "{damaged}: {found} found, {unread} not");
    }
}

#[test]
fn numbers_one_by_one_and_as_memory_are_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ckpt");
    let one = |x: f32| [&[5 << 3 | 5][..], &x.to_le_bytes()].concat();
    let memory = bytes(4, &[1f32.to_le_bytes(), 2f32.to_le_bytes()].concat());
    let variables = [
        ("a", &[2][..], vec![], [one(3.0), one(4.0)].concat()),
        ("b", &[1, 2], bytes(1, &[]), memory),
        ("c", &[], vec![], packed(&[5.0])),
    ];
    fs::write(&path, table(&[slices(&variables)])).unwrap();
    let expected = [("a", vec![3.0, 4.0]), ("b", vec![1.0, 2.0]), ("c", vec![5.0])];
    let expected = expected.map(|(name, values)| (name.to_owned(), values));
    assert_eq!(all(&open(&path)).unwrap(), expected.into());
}

#[test]
fn what_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ckpt");
    let told = |file: Vec<u8>| {
        fs::write(&path, file).unwrap();
        let read = Checkpoint::open(&path).and_then(|open| all(&open.unwrap()).map(drop));
        let error = read.unwrap_err().to_string();
        assert!(error.contains("x.ckpt") && error.contains("  do: "), "{error}");
        error
    };
    let slice =
        |slice: Vec<u8>, numbers: &[f32]| table(&[slices(&[("a", &[2], slice, packed(numbers))])]);
    let part = bytes(1, &[count(1, 0), count(2, 1)].concat());
    let sliced = slice(part, &[1.0]);
    assert!(told(sliced).contains("found slices of it"));
    assert!(told(slice(vec![], &[1.0])).contains("not all numbers"));
    let mut twice = slice(vec![], &[1.0, 2.0]);
    // The byte behind the first block says how it is compressed.
    let first = slices(&[("a", &[2], vec![], packed(&[1.0, 2.0]))]).len();
    twice[first] = 1;
    let sum = masked(&twice[..=first]).to_le_bytes();
    twice[first + 1..first + 5].copy_from_slice(&sum);
    assert!(told(twice).contains("compressed block"));
    let of = |sum| table(&[index(&[("a", &[2], 0, sum)])]);
    assert!(told(of(0)).contains("a file of the checkpoint is missing"));
    let numbers = [1f32.to_le_bytes(), 2f32.to_le_bytes()].concat();
    fs::write(dir.path().join("x.ckpt.data-00000-of-00001"), &numbers).unwrap();
    assert!(told(of(0)).contains("damaged numbers"));
    fs::write(&path, of(masked(&numbers))).unwrap();
    assert_eq!(all(&open(&path)).unwrap()["a"], [1.0, 2.0]);
    fs::write(dir.path().join("x.ckpt.data-00000-of-00001"), &numbers[1..]).unwrap();
    assert!(told(of(masked(&numbers))).contains("not all numbers"));
    fs::write(dir.path().join("x.ckpt.data-00000-of-00001"), &numbers).unwrap();
    let sum = masked(&numbers);
    // A slice's key is no name.
    fs::write(&path, table(&[index(&[("\0a", &[2], 0, sum), ("a", &[2], 0, sum)])])).unwrap();
    assert_eq!(all(&open(&path)).unwrap().len(), 1);
    let shared = [("a", &[2][..], 0, sum), ("b", &[2], 0, sum)];
    assert!(told(table(&[index(&shared)])).contains("variables share their numbers"));
}

#[test]
fn files_that_only_look_like_numbers_are_no_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["netG.data-v2.pth", "x.data-00000-of-2", "x.data-2017.safetensors"] {
        let path = dir.path().join(name);
        fs::write(&path, [0; 100]).unwrap();
        assert!(Checkpoint::open(&path).unwrap().is_none(), "{name}");
    }
    let files = open(&golden("tensorflow_stage1.ckpt")).files();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.is_file()), "{files:?}");
}
