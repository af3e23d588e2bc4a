//! Reads each format as its users do: decodes the file, then requests all of its contents. The
//! fuzz targets read with these functions too.

use crate::tables;
use stackgan_data::Error;
use stackgan_data::formats::tensorflow::Checkpoint;
use stackgan_data::formats::torch7::{self, Value};
use stackgan_data::formats::{matlab, npy, npz, pickle, torch_pickle};
use stackgan_data::prepared::Prepared;
use std::path::Path;
use std::sync::LazyLock;

/// A reader, with an error's text.
pub(crate) type Read = fn(&[u8]) -> Result<(), String>;

pub(crate) const FILE: &str = "mutant";

pub(crate) fn pickles(bytes: &[u8]) -> Result<(), String> {
    let file = Path::new(FILE);
    let document = pickle::decode(bytes, file).map_err(|e| e.to_string())?;
    let _ = document.strings(file).map(|strings| strings.len());
    let _ = document.ints(file).map(|ints| ints.len());
    if let Ok(Some((names, arrays))) = document.named_arrays(file) {
        assert_eq!(names.len(), arrays.len());
    }
    if let Ok(arrays) = document.arrays(file) {
        assert!(arrays.iter().all(|array| array.to_f32().len() == array.len()));
    }
    Ok(())
}

pub(crate) fn npy(bytes: &[u8]) -> Result<(), String> {
    let array = npy::decode(bytes, Path::new(FILE)).map_err(|e| e.to_string())?;
    assert_eq!(array.to_f32().len(), array.len());
    Ok(())
}

pub(crate) fn npz(bytes: &[u8]) -> Result<(), String> {
    let file = Path::new(FILE);
    let archive = npz::decode(bytes, file).map_err(|e| e.to_string())?;
    for name in archive.names() {
        let member = archive.member(&name).map_err(|e| e.to_string())?;
        let array = npy::decode(&member, file).map_err(|e| e.to_string())?;
        assert_eq!(array.to_f32().len(), array.len());
    }
    Ok(())
}

pub(crate) fn matlab(bytes: &[u8]) -> Result<(), String> {
    let file = matlab::decode(bytes, Path::new(FILE)).map_err(|e| e.to_string())?;
    for name in file.names() {
        if let Ok(array) = file.array(name) {
            assert_eq!(array.to_ints().map_or(array.len(), |ints| ints.len()), array.len());
        }
    }
    Ok(())
}

/// A folder with [`NUMBERS`].
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE).with_extension("data-00000-of-00001"), NUMBERS)
        .unwrap();
    folder
});

/// The numbers of two variables, which an index may have beside it.
pub(crate) const NUMBERS: [u8; 32] = [7; 32];

/// Reads a checkpoint with one block of these contents, and [`NUMBERS`] beside it.
pub(crate) fn tensorflow(contents: &[u8]) -> Result<(), String> {
    tensorflow_file(&tables::table(&[contents.to_vec()]))
}

/// Reads a whole checkpoint, with [`NUMBERS`] beside it.
pub(crate) fn tensorflow_file(bytes: &[u8]) -> Result<(), String> {
    let path = FOLDER.path().join(FILE);
    std::fs::write(&path, bytes).unwrap();
    let checkpoint = Checkpoint::open(&path).map_err(|e| e.to_string())?.unwrap();
    let shapes = checkpoint.shapes();
    match checkpoint.read(&shapes.keys().cloned().collect()) {
        Ok(values) => {
            let count = |name: &String| shapes[name].iter().product::<usize>();
            assert!(values.iter().all(|(name, numbers)| numbers.len() == count(name)));
            Ok(())
        }
        Err(Error::Missing { .. }) => Ok(()),
        // The file of numbers may be the one that is named.
        Err(error) => Err(error.to_string().replace(".data-00000-of-00001", "")),
    }
}

pub(crate) fn torch7(bytes: &[u8]) -> Result<(), String> {
    let document = torch7::decode(bytes, Path::new(FILE)).map_err(|e| e.to_string())?;
    assert!(!document.root().kind().is_empty());
    if let Ok(table) = document.table() {
        let _ = table.list().len();
        for (_, value) in table.pairs() {
            if let Value::Tensor(tensor) = value {
                assert_eq!(tensor.to_f32().len(), tensor.len());
            }
        }
    }
    Ok(())
}

pub(crate) fn torch_pickle(bytes: &[u8]) -> Result<(), String> {
    let tensors = torch_pickle::decode(bytes, Path::new(FILE)).map_err(|e| e.to_string())?;
    assert!(!tensors.is_empty());
    for tensor in &tensors {
        assert_eq!(tensor.array.to_f32().len(), tensor.array.len());
    }
    Ok(())
}

/// Reads everything small of a prepared dataset, and the first pictures, as a loader does.
pub(crate) fn prepared(bytes: &[u8]) -> Result<(), String> {
    let path = FOLDER.path().join(FILE);
    // A new file each time, because some file systems write a replaced file to the disk at once.
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, bytes).unwrap();
    let data = Prepared::open(&path).map_err(|e| e.to_string())?;
    assert_eq!(data.classes().len(), data.len());
    for i in 0..data.len().min(4) {
        let side = data.size().prepared();
        assert_eq!(data.image(i).map_err(|e| e.to_string())?.len(), side * side * 3);
        assert_eq!(data.captions(i).len(), data.caption_range(i).len());
        assert!(data.class(i).is_some() && data.split(i).is_some());
    }
    Ok(())
}
