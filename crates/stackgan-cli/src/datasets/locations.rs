//! Where things lie on disk: the folder of the program's own files, and what is made of a dataset.
//!
//! What is made of a dataset folder lies in `prepared` in the folder or, where that cannot be
//! written, in a folder of our own for each dataset folder. What either holds is found.

use std::path::{Path, PathBuf};

use stackgan_core::digest::sha256;
use stackgan_data::crop::PictureSize;

/// The folder for files that the program creates by itself: `STACKGAN_HOME`, or `data`.
pub(crate) fn home() -> PathBuf {
    std::env::var_os("STACKGAN_HOME")
        .filter(|v| !v.is_empty())
        .map_or_else(|| "data".into(), PathBuf::from)
}

/// Where the prepared files of a folder may be: first where new ones are written, `folder/prepared`
/// if that is possible, else a folder of our own.
pub(super) fn places(folder: &Path) -> [PathBuf; 2] {
    let (inside, own) = (folder.join("prepared"), own(folder));
    if is_writable(folder) { [inside, own] } else { [own, inside] }
}

/// Whether `folder/prepared` can be written.
fn is_writable(folder: &Path) -> bool {
    let inside = folder.join("prepared");
    let into = if inside.exists() { &inside } else { folder };
    tempfile::tempfile_in(into).is_ok()
}

/// The folder of our own for what is made of a dataset folder, named after its path, so that it
/// stays the same when the dataset changes.
fn own(folder: &Path) -> PathBuf {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let hash = sha256(real.as_os_str().as_encoded_bytes());
    home().join("prepared").join(hash.get(..16).unwrap_or(&hash))
}

/// The name of a prepared file.
pub(super) fn prepared_name(size: PictureSize) -> String {
    format!("prepared-{}.safetensors", size.prepared())
}

/// The path of the embeddings that may have been imported for a prepared file.
pub(crate) fn imported_embeddings(prepared: &Path) -> PathBuf {
    prepared.with_file_name("embeddings.safetensors")
}

/// The embeddings that were imported for a dataset folder or a prepared file, if there are any.
pub(crate) fn embeddings_of(data: &Path) -> Option<PathBuf> {
    let beside = if data.is_dir() {
        places(data).map(|place| imported_embeddings(&place.join("x"))).to_vec()
    } else {
        vec![imported_embeddings(data)]
    };
    beside.into_iter().find(|file| file.is_file())
}

/// The folder for data computed from a prepared file: that of the file, or our own if that is not
/// writable.
pub(crate) fn cache_beside(prepared: &Path) -> PathBuf {
    let folder = prepared.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if tempfile::tempfile_in(folder).is_ok() {
        folder.to_path_buf()
    } else {
        home().join("prepared")
    }
}
