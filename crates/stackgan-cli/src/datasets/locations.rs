//! Where things lie on disk: the folder of the program's own files, and what is made of a dataset.
//!
//! What is made of a dataset folder lies in `prepared` in the folder or, where that cannot be
//! written, in a folder of our own for each dataset folder. What either holds is found.

use std::path::{Path, PathBuf};

use stackgan_core::digest::sha256;
pub(super) use stackgan_data::prepared::prepared_name;
use stackgan_data::whole_file::folder_of;

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
fn cache_beside(prepared: &Path) -> PathBuf {
    let folder = folder_of(prepared);
    if tempfile::tempfile_in(folder).is_ok() {
        folder.to_path_buf()
    } else {
        home().join("prepared")
    }
}

/// The places of what is computed from a prepared file: what is in one of them is read there, also where nothing can be written.
pub(crate) struct Cache {
    /// First where new files are written.
    places: Vec<PathBuf>,
}

impl Cache {
    /// Those of a prepared file of `data`: a dataset folder, or the file itself.
    pub(crate) fn of(data: &Path, prepared: &Path) -> Self {
        let mut all = vec![cache_beside(prepared), folder_of(prepared).to_path_buf()];
        if data.is_dir() {
            all.extend(places(data));
        }
        all.push(home().join("prepared"));
        let mut places = Vec::new();
        for place in all {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Self { places }
    }

    /// The first file of this name that `read` takes.
    pub(crate) fn find<T>(&self, name: &str, read: impl FnMut(PathBuf) -> Option<T>) -> Option<T> {
        self.places
            .iter()
            .map(|place| place.join(name))
            .filter(|file| file.is_file())
            .find_map(read)
    }

    /// Where a new file of this name is written.
    pub(crate) fn new_file(&self, name: &str) -> PathBuf {
        self.places.first().map_or_else(|| name.into(), |place| place.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_any_place_of_a_folder_is_found_if_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, other) = (dir.path().join("prepared"), dir.path().join("own"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(inside.join("encoder"), "good").unwrap();
        std::fs::write(other.join("encoder"), "bad").unwrap();
        // As for a folder that cannot be written, whose pictures were prepared elsewhere.
        let cache = Cache::of(dir.path(), &other.join("prepared-76.safetensors"));
        assert_eq!(cache.new_file("encoder"), other.join("encoder"));
        let read = |takes: &str| {
            cache.find("encoder", |file| {
                std::fs::read_to_string(&file).ok().filter(|text| text == takes).map(|_| file)
            })
        };
        assert_eq!(read("good"), Some(inside.join("encoder")));
        assert_eq!(read("bad"), Some(other.join("encoder")));
        assert_eq!(read("none"), None);
        // Of a prepared file, only what lies beside it is its own.
        let file = other.join("prepared-76.safetensors");
        let alone = Cache::of(&file, &file).find("encoder", Some);
        assert_eq!(alone, Some(other.join("encoder")));
    }
}
