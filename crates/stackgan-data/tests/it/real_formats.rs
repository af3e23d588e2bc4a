//! Historical files, if they are available: Torch's own test files, a record of Reed's flowers,
//! Oxford's labels, and weights in both PyTorch containers. Checksums were computed with torchfile,
//! scipy and torch.

use crate::shared;
use sha2::{Digest as _, Sha256};
use stackgan_data::formats::torch7::{self, Document, Value};
use stackgan_data::formats::{matlab, torch_pickle};
use std::path::Path;

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn torch_s_own_files_are_read() {
    let Some(dir) = shared("formats/t7") else { return };
    let with = |name: &str, check: &dyn Fn(&Document<'_>)| {
        let path = dir.join(name);
        let bytes = read(&path);
        check(&torch7::decode(&bytes, &path).unwrap());
    };
    with("hello=123.t7", &|document| {
        assert!(matches!(document.table().unwrap().get("hello"), Value::Number(n) if n == 123.0));
    });
    with("doubletensor.t7", &|document| {
        let Value::Tensor(tensor) = document.root() else { panic!("no tensor") };
        assert_eq!(
            (tensor.shape(), tensor.to_f64()),
            (&[2, 3][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.9])
        );
    });
    with("floattensor.t7", &|document| {
        let Value::Tensor(tensor) = document.root() else { panic!("no tensor") };
        assert_eq!(tensor.shape().len(), 3);
        assert_eq!(tensor.to_f32()[..2], [0.8635312, 0.53612185]);
    });
    with("list_table.t7", &|document| {
        let list: Vec<Value<'_>> = document.table().unwrap().list().collect();
        assert!(matches!(list[..], [Value::String(b"hello"), .., Value::Number(123.0)]));
        assert_eq!(list.len(), 4);
    });
    with("map_table1.t7", &|document| {
        // Key 0 is not part of a list.
        assert_eq!(document.table().unwrap().pairs().count(), 5);
        assert_eq!(document.table().unwrap().list().len(), 4);
    });
    for (name, part) in [
        ("function.t7", "a Lua function"),
        ("custom_class.t7", "class Blah"),
        ("recursive_class.t7", "class A"),
        ("nngraph_node.t7", "class nngraph.Node"),
    ] {
        with(name, &|document| {
            let error = document.table().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        });
    }
}

#[test]
fn reed_s_record_is_read() {
    let Some(dir) = shared("formats/t7") else { return };
    let path = dir.join("reed_flower_image_record.t7");
    let bytes = read(&path);
    let document = torch7::decode(&bytes, &path).unwrap();
    let table = document.table().unwrap();
    assert_eq!(table.text("img").unwrap(), "jpg/image_07764.jpg");
    let vectors = table.tensor("txt").unwrap();
    assert_eq!(vectors.shape(), [10, 1024]);
    let raw: Vec<u8> = vectors.to_f32().iter().flat_map(|x| x.to_le_bytes()).collect();
    assert!(raw == read(&dir.join("reed_flower_image_07764_txt_10x1024.f32")));
    let characters = table.tensor("char").unwrap();
    assert_eq!(characters.shape(), [201, 10]);
    let numbers = characters.to_ints().unwrap();
    let first: Vec<i64> = (0..12).map(|row| numbers[row * 10]).collect();
    assert_eq!(first, [20, 8, 9, 19, 70, 6, 12, 15, 23, 5, 18, 70]); // "this flower "
    assert_eq!(table.tensor("word").unwrap().shape(), [30, 10]);
}

#[test]
fn oxford_s_labels_are_read() {
    let Some(dir) = shared("oxford102") else { return };
    for (file, name, length, sum, ends) in [
        ("imagelabels.mat", "labels", 8189, 466_705, [77, 62]),
        ("setid.mat", "trnid", 1020, 5_073_294, [6765, 8041]),
        ("setid.mat", "valid", 1020, 5_056_562, [6773, 8030]),
        ("setid.mat", "tstid", 6149, 23_404_099, [6734, 8047]),
    ] {
        let path = dir.join(file);
        let bytes = read(&path);
        let variables = matlab::decode(&bytes, &path).unwrap();
        let array = variables.array(name).unwrap();
        assert_eq!(array.shape(), [1, length]);
        let ints = array.to_ints().unwrap();
        assert_eq!((ints.iter().sum::<i64>(), [ints[0], ints[length - 1]]), (sum, ends), "{name}");
    }
}

/// SHA-256 over `NAME [SHAPE]`, a newline and the numbers as f32 for each tensor in the order of
/// the file, computed with torch 1.12.1.
#[test]
fn weights_equal_what_torch_reads() {
    for (file, tensors, numbers, sum) in [
        (
            "../golden/stage1_netG_legacy.pth",
            33,
            15_787,
            "32800d12c3157f3fe7b68ef2b9636bc2c9e0b561b58614cac67f0b480b7cda5d",
        ),
        (
            "../golden/stage1_netG_zip.pth",
            33,
            15_787,
            "32800d12c3157f3fe7b68ef2b9636bc2c9e0b561b58614cac67f0b480b7cda5d",
        ),
        (
            "../golden/stage2_netG_legacy.pth",
            103,
            33_443,
            "9cdb9aa585f3991ff535dcd2b9a109e94e486655417be8dc93c1336a903fa4b8",
        ),
        (
            "formats/pth/pytorch-fid_lenet_a.pth",
            10,
            61_706,
            "d1b1c00fe6c729e684747da7a6350c4a0a1b37b50a440817fe55df34e113ba20",
        ),
    ] {
        let Some(path) = shared(file) else { continue };
        let bytes = read(&path);
        let found = torch_pickle::decode(&bytes, &path).unwrap();
        let mut hash = Sha256::new();
        for tensor in &found {
            hash.update(format!("{} {:?}\n", tensor.name, tensor.array.shape()));
            for number in tensor.array.to_f32() {
                hash.update(number.to_le_bytes());
            }
        }
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let count: usize = found.iter().map(|tensor| tensor.array.len()).sum();
        assert_eq!((found.len(), count, hex.as_str()), (tensors, numbers, sum), "{file}");
    }
}
