//! Checkpoints: the only place that writes them.
//!
//! One checkpoint is one file with everything (G, D, the average of G, both optimisers, Stage-I's statistics, the step),
//! so no pair can be torn. It is written under a temporary name, synced, read back and hashed, renamed, and the folder
//! synced. The newest valid file wins; there is no pointer to keep in step. Equal state gives equal bytes: no clock, no
//! host, names sorted.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stackgan_core::archive::Archive;

use crate::{Error, Result};

/// The version of the checkpoint format that this program writes and reads.
const FORMAT: &str = "stackgan-checkpoint/1";

/// The metadata key under which [`Header`] and the hash lie.
const KEY: &str = "stackgan";

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The format's version.
    format: String,
    /// Steps taken.
    pub step: u64,
    /// Steps of each optimiser: G, D.
    pub optimiser_steps: (u64, u64),
    /// SHA-256 of what decides the mathematics: configuration and data.
    pub digest: String,
    /// SHA-256 of the file as it would be with this field empty.
    sha256: String,
}

impl Header {
    /// A header for a state after `step` steps.
    #[must_use]
    pub fn new(step: u64, optimiser_steps: (u64, u64), digest: String) -> Self {
        Self { format: FORMAT.to_owned(), step, optimiser_steps, digest, sha256: String::new() }
    }
}

/// Hexadecimal SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// What [`Store::newest`] found.
#[derive(Debug)]
pub struct Newest {
    /// The newest valid checkpoint, if there is any.
    pub found: Option<(Header, Archive)>,
    /// What was wrong with newer ones.
    pub passed_over: Vec<String>,
}

/// The checkpoints of one run.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    keep: usize,
}

impl Store {
    /// Opens the folder, making it if need be, and removes temporary files of an interrupted save. The caller holds the
    /// run folder's lock.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn open(folder: &Path, keep: usize) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| storage("make the folder", folder, e))?;
        for path in listed(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(".tmp-step-") {
                fs::remove_file(&path).map_err(|e| storage("remove a temporary file", &path, e))?;
            }
        }
        Ok(Self { folder: folder.to_path_buf(), keep: keep.max(2) })
    }

    /// The checkpoints of a run that may belong to another process: only to be read.
    #[must_use]
    pub fn reading(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), keep: usize::MAX }
    }

    /// Writes a checkpoint and prunes old ones once the new one is verified.
    ///
    /// # Errors
    /// [`Error::Storage`]; older checkpoints are then untouched.
    pub fn save(&self, mut archive: Archive, mut header: Header) -> Result<PathBuf> {
        header.sha256.clear();
        archive.metadata = [(KEY.to_owned(), to_json(&header))].into();
        header.sha256 = sha256(&archive.to_bytes()?);
        archive.metadata = [(KEY.to_owned(), to_json(&header))].into();
        let bytes = archive.to_bytes()?;
        let path = self.folder.join(format!("step-{:07}.safetensors", header.step));
        write_atomically(&path, &bytes)?;
        self.prune(&path)?;
        Ok(path)
    }

    /// The newest valid checkpoint.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there are checkpoints and none is valid: a run never starts again from scratch silently.
    pub fn newest(&self, device: &Device) -> Result<Newest> {
        let mut passed_over = Vec::new();
        for path in self.checkpoints()?.into_iter().rev() {
            match load(&path, device) {
                Ok(found) => return Ok(Newest { found: Some(found), passed_over }),
                Err(e) => passed_over.push(e.to_string()),
            }
        }
        if passed_over.is_empty() {
            return Ok(Newest { found: None, passed_over });
        }
        Err(Error::Checkpoint {
            what: "no checkpoint of this run is whole".to_owned(),
            file: self.folder.clone(),
            expected: "at least one valid checkpoint".to_owned(),
            found: passed_over.join("; ").into(),
            remedy: "restore the folder from a copy, or start a new run".to_owned(),
        })
    }

    fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.strip_prefix("step-").is_some_and(|n| {
                n.strip_suffix(".safetensors")
                    .is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
            })
        };
        let mut paths: Vec<_> = listed(&self.folder)?.into_iter().filter(is_ours).collect();
        paths.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
        Ok(paths)
    }

    /// Removes the oldest beyond `keep`, counting only files up to the one just written.
    fn prune(&self, newest: &Path) -> Result<()> {
        let paths = self.checkpoints()?;
        let upto = paths.iter().position(|p| p == newest).map_or(paths.len(), |i| i + 1);
        for path in paths.iter().take(upto.saturating_sub(self.keep)) {
            fs::remove_file(path).map_err(|e| storage("remove an old checkpoint", path, e))?;
        }
        Ok(())
    }
}

fn load(path: &Path, device: &Device) -> Result<(Header, Archive)> {
    let damaged = |expected: &str, found: String| Error::Checkpoint {
        what: "checkpoint is damaged".to_owned(),
        file: path.to_path_buf(),
        expected: expected.to_owned(),
        found: found.into(),
        remedy: "an older checkpoint is used if there is one".to_owned(),
    };
    let bytes = fs::read(path).map_err(|e| storage("read a checkpoint", path, e))?;
    let mut archive =
        Archive::from_bytes(&bytes, device).map_err(|e| damaged("a whole file", e.to_string()))?;
    let text = archive.metadata.get(KEY).cloned().unwrap_or_default();
    let header: Header =
        serde_json::from_str(&text).map_err(|e| damaged("a header of ours", e.to_string()))?;
    if header.format != FORMAT {
        return Err(damaged(FORMAT, header.format));
    }
    let bare = Header { sha256: String::new(), ..header.clone() };
    archive.metadata = [(KEY.to_owned(), to_json(&bare))].into();
    let found = sha256(&archive.to_bytes()?);
    if found != header.sha256 {
        return Err(damaged(&format!("sha256 {}", header.sha256), found));
    }
    Ok((header, archive))
}

/// Writes a file so that after a crash it is there whole or not at all: temporary name, sync, read back, rename, sync of
/// the folder.
///
/// # Errors
/// [`Error::Storage`]; the temporary file is removed, and a file of this name keeps its old contents.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".tmp-{name}"));
    let result = write_and_verify(&temporary, bytes).and_then(|()| {
        fs::rename(&temporary, path).map_err(|e| storage("rename", path, e))?;
        File::open(folder)
            .and_then(|f| f.sync_all())
            .map_err(|e| storage("sync the folder", folder, e))
    });
    if result.is_err() {
        drop(fs::remove_file(&temporary)); // best effort: the error that matters is the first
    }
    result
}

fn write_and_verify(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(|e| storage("create", path, e))?;
    file.write_all(bytes).map_err(|e| storage("write", path, e))?;
    file.sync_all().map_err(|e| storage("sync", path, e))?;
    let back = fs::read(path).map_err(|e| storage("read back", path, e))?;
    if back != bytes {
        return Err(storage(
            "verify",
            path,
            std::io::Error::other("what was read back differs from what was written"),
        ));
    }
    Ok(())
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| storage("list", folder, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|e| storage("list", folder, e))?.path());
    }
    Ok(paths)
}

fn to_json(header: &Header) -> String {
    serde_json::to_string(header).unwrap_or_default() // plain strings and integers: cannot fail
}

pub(crate) fn storage(action: &'static str, file: &Path, source: std::io::Error) -> Error {
    let remedy = "check free space and permissions; the last checkpoint is untouched".to_owned();
    Error::Storage { action, file: file.to_path_buf(), source, remedy }
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::*;

    fn archive(value: f32) -> Archive {
        let tensor = Tensor::new(vec![value; 100], &Device::Cpu).unwrap();
        Archive { tensors: [("g.w".to_owned(), tensor)].into(), ..Archive::default() }
    }

    fn header(step: u64) -> Header {
        Header::new(step, (step, step), "digest".to_owned())
    }

    #[test]
    fn the_newest_valid_checkpoint_wins_and_two_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 1).unwrap();
        assert!(store.newest(&Device::Cpu).unwrap().found.is_none());
        for step in [1, 2, 3] {
            store.save(archive(step as f32), header(step)).unwrap();
        }
        assert_eq!(store.checkpoints().unwrap().len(), 2);
        let newest = folder.path().join("step-0000003.safetensors");
        let mut bytes = fs::read(&newest).unwrap();
        let Newest { found, passed_over } = store.newest(&Device::Cpu).unwrap();
        assert_eq!((found.unwrap().0.step, passed_over.len()), (3, 0));
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&newest, bytes).unwrap();
        let Newest { found, passed_over } = store.newest(&Device::Cpu).unwrap();
        let (found, contents) = found.unwrap();
        assert_eq!((found.step, passed_over.len()), (2, 1));
        assert_eq!(contents.tensors["g.w"].to_vec1::<f32>().unwrap()[0], 2.0);
        assert!(passed_over[0].contains("sha256"), "{}", passed_over[0]);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 2).unwrap();
        let path = store.save(archive(1.5), header(7)).unwrap();
        let bytes = fs::read(&path).unwrap();
        let mut draws =
            stackgan_core::noise::Noise::new(1).draws(stackgan_core::noise::Stream::Test, 0, 0);
        for case in 0..600 {
            let mut copy = bytes.clone();
            if case % 3 == 0 {
                copy.truncate(draws.below(bytes.len() as u64) as usize);
            } else {
                let bit = draws.below(8 * bytes.len() as u64) as usize;
                copy[bit / 8] ^= 1 << (bit % 8);
            }
            fs::write(&path, &copy).unwrap();
            assert!(store.newest(&Device::Cpu).is_err(), "case {case} was not detected");
        }
    }

    #[test]
    fn equal_states_are_equal_files() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let save = |folder: &Path| {
            fs::read(Store::open(folder, 2).unwrap().save(archive(0.1), header(5)).unwrap())
                .unwrap()
        };
        assert_eq!(save(a.path()), save(b.path()));
    }
}
