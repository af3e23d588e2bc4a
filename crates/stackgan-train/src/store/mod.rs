//! The checkpoint store, the only code that writes checkpoints.
//!
//! A checkpoint is one file with everything (G, D, the running average of G, both optimisers,
//! Stage-I's statistics, the step), so no two files can get out of step. It is written under a
//! temporary name, synced, read back and compared, and renamed; then the folder is synced. The
//! newest valid file counts; there is no separate pointer to it. Equal states give equal bytes: a
//! file holds no time and no host name, and its names are sorted. A file with a non-finite value is
//! never written.

mod atomic;
pub mod files;
mod header;

use std::io::ErrorKind;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_data::whole_file::TEMPORARY;

use crate::nonfinite;
use crate::run_files::{checkpoint_name, checkpoint_step};
use crate::{Error, Result};

use atomic::PIECE;
pub(crate) use atomic::storage;
pub use atomic::{Contents, Step, write_atomically, write_with};
use files::{Files, System, patiently};
pub use header::Header;

/// How often a reader lists the folder again while a trainer prunes the files that it listed.
const LISTINGS: u32 = 100;

/// A checkpoint with its checksum in the head. The data are read from the tensors as they are
/// written.
struct Sealed {
    head: Vec<u8>,
    archive: Archive,
}

impl Sealed {
    fn new(archive: Archive, path: &Path) -> Result<Self> {
        let (bare, sum) = (archive.head()?, archive.sha256()?);
        let head = header::sealed(bare, &sum).ok_or_else(|| {
            storage("seal", path, std::io::Error::other("the header has no place for a sum"))
        })?;
        Ok(Self { head, archive })
    }
}

impl Contents for Sealed {
    fn length(&self) -> u64 {
        let values: usize = self.archive.tensors.values().map(Tensor::elem_count).sum();
        self.head.len() as u64 + 4 * values as u64
    }

    /// Joins the tensors' pieces to pieces of the maximum size.
    fn pieces(&self, each: &mut dyn FnMut(&[u8]) -> Step) -> Step {
        let mut piece = self.head.clone();
        let read = self.archive.data(|bytes| {
            if piece.len() + bytes.len() > PIECE {
                each(&piece).map_err(Stopped::By)?;
                piece.clear();
            }
            piece.extend_from_slice(bytes);
            Ok(())
        });
        match read {
            Ok(()) => each(&piece),
            Err(Stopped::By(failed)) => Err(failed),
            Err(Stopped::Tensor(error)) => Err(("read the state", std::io::Error::other(error))),
        }
    }
}

/// The error that ended the writing of a checkpoint.
enum Stopped {
    By((&'static str, std::io::Error)),
    Tensor(stackgan_core::Error),
}

impl From<stackgan_core::Error> for Stopped {
    fn from(error: stackgan_core::Error) -> Self {
        Self::Tensor(error)
    }
}

/// The result of [`Store::newest`].
#[derive(Debug)]
pub struct Newest {
    /// The newest valid checkpoint, if there is one.
    pub found: Option<(Header, Archive)>,
    /// What is wrong with newer checkpoints.
    pub passed_over: Vec<String>,
}

/// The checkpoints of one run.
#[derive(Debug)]
pub struct Store<F = System> {
    files: F,
    folder: PathBuf,
    keep: usize,
    /// Checkpoints of multiples of this step are never pruned.
    every: Option<NonZeroU64>,
    /// The steps of those that an earlier process kept by other settings. They are never pruned.
    left: Vec<u64>,
}

impl Store {
    /// Opens the folder, creating it if needed, and removes temporary files of an interrupted save.
    ///
    /// The caller must hold the lock of the run folder.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn open(folder: &Path, keep: usize) -> Result<Self> {
        Self::open_on(System, folder, keep)
    }

    /// Opens the checkpoints of a run that may belong to another process, for reading only.
    #[must_use]
    pub fn reading(folder: &Path) -> Self {
        let (folder, left) = (folder.to_path_buf(), Vec::new());
        Self { files: System, folder, keep: usize::MAX, every: None, left }
    }
}

impl<F: Files> Store<F> {
    /// As [`Store::open`], on any file system.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn open_on(files: F, folder: &Path, keep: usize) -> Result<Self> {
        patiently(|| files.make_folder(folder))
            .map_err(|e| storage("make the folder", folder, e))?;
        let (folder, left) = (folder.to_path_buf(), Vec::new());
        let store = Self { files, folder, keep: keep.max(2), every: None, left };
        for path in store.listed()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&format!("{TEMPORARY}step-")) {
                patiently(|| store.files.remove(&path))
                    .map_err(|e| storage("remove a temporary file", &path, e))?;
            }
        }
        Ok(store)
    }

    /// The same store; it never prunes the checkpoints of multiples of `every` steps. 0 for none.
    #[must_use]
    pub const fn keeping_every(mut self, every: u64) -> Self {
        self.every = NonZeroU64::new(every);
        self
    }

    /// The same store, after a process that kept the newest `keep` and the multiples of `every`: what
    /// it did not count among the newest stays. While `every` is the same, milestones are not counted
    /// among the newest, so that none of the others stays.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn after(mut self, (keep, every): (usize, u64)) -> Result<Self> {
        let every = NonZeroU64::new(every);
        let there: Vec<u64> =
            self.checkpoints()?.iter().filter_map(|path| checkpoint_step(path)).collect();
        let (milestones, others): (Vec<u64>, Vec<u64>) =
            there.iter().partition(|step| is_milestone(**step, every));
        let mut left = if every == self.every { others } else { there };
        left.truncate(left.len().saturating_sub(keep.max(2)));
        left.extend(milestones);
        self.left = left;
        Ok(self)
    }

    /// The folder of the checkpoints.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a checkpoint, and prunes old ones once the new one is verified.
    ///
    /// # Errors
    /// [`Error::Storage`] and [`Error::NonFinite`]; older checkpoints are then untouched.
    pub fn save(&self, mut archive: Archive, header: &Header) -> Result<PathBuf> {
        for tensor in archive.tensors.values_mut() {
            *tensor = tensor.to_device(&Device::Cpu)?; // once, for checking and for writing
        }
        if let Some((name, value)) = nonfinite::first(&archive.tensors)? {
            return Err(nonfinite::error(header.step, &name, value));
        }
        archive.metadata = header.metadata();
        let path = self.path(header.step);
        let written = write_with(&self.files, &path, &Sealed::new(archive, &path)?);
        written.map_err(|error| self.beside_older(error, &path))?;
        self.prune(&path);
        Ok(path)
    }

    /// Adds to an error of the storage about the checkpoint `new` that older ones are untouched, if
    /// there are any.
    fn beside_older(&self, mut error: Error, new: &Path) -> Error {
        let there = self.checkpoints().is_ok_and(|all| all.iter().any(|path| path != new));
        if let (Error::Storage { remedy, .. }, true) = (&mut error, there) {
            remedy.push_str("; older checkpoints are untouched");
        }
        error
    }

    /// Finds the newest valid checkpoint.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there are checkpoints but none is valid: a run never restarts
    /// from scratch silently.
    pub fn newest(&self, device: &Device) -> Result<Newest> {
        let mut passed_over = Vec::new();
        let (mut paths, mut listings) = (self.checkpoints()?, 1);
        while let Some(path) = paths.pop() {
            match self.load(&path, device) {
                Ok(found) => return Ok(Newest { found: Some(found), passed_over }),
                // Pruned since the folder was listed, so another trainer has written newer ones:
                // list again.
                Err(Error::Storage { source, .. })
                    if source.kind() == ErrorKind::NotFound && listings < LISTINGS =>
                {
                    (paths, listings) = (self.checkpoints()?, listings + 1);
                    passed_over.clear();
                }
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

    /// The checkpoint files, oldest first, valid or not.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        let mut paths: Vec<_> =
            self.listed()?.into_iter().filter(|path| checkpoint_step(path).is_some()).collect();
        paths.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
        Ok(paths)
    }

    /// Returns a warning when there is no room for the checkpoints to keep plus one being written,
    /// judging by the size of the newest. Of those that are `left` in the run, no more are counted;
    /// `milestones` are kept besides.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn short_of_room(&self, left: u64, milestones: u64) -> Result<Option<String>> {
        let mut paths = self.checkpoints()?;
        let Some(newest) = paths.last() else { return Ok(None) };
        let size = patiently(|| self.files.length(newest))
            .map_err(|e| storage("look at a checkpoint", newest, e))?;
        paths.retain(|path| !self.is_kept(path));
        let more = self.keep.saturating_add(1).saturating_sub(paths.len()) as u64;
        let more = more.min(left).max(1).saturating_add(milestones);
        let Some(free) = self.files.room(&self.folder) else { return Ok(None) };
        Ok((free < more.saturating_mul(size)).then(|| {
            format!(
                "room for checkpoints is short: {more} more of {size} bytes are to come, {free} bytes are free in {}",
                self.folder.display()
            )
        }))
    }

    /// Removes the oldest files beyond `keep`, counting only files up to the one just written, and
    /// none of those that are kept besides. A file that cannot be removed is tried again after the
    /// next save.
    fn prune(&self, newest: &Path) {
        let mut paths = self.checkpoints().unwrap_or_default();
        paths.truncate(paths.iter().position(|p| p == newest).map_or(0, |i| i + 1));
        paths.retain(|path| !self.is_kept(path));
        for path in paths.iter().take(paths.len().saturating_sub(self.keep)) {
            drop(patiently(|| self.files.remove(path)));
        }
    }

    /// Whether a checkpoint is kept besides the newest: it is a milestone, or was left by an earlier
    /// process.
    fn is_kept(&self, path: &Path) -> bool {
        let kept = |step| is_milestone(step, self.every) || self.left.contains(&step);
        checkpoint_step(path).is_some_and(kept)
    }

    /// Reads one checkpoint.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it is damaged, [`Error::Storage`] when it cannot be read.
    pub fn load(&self, path: &Path, device: &Device) -> Result<(Header, Archive)> {
        let damaged = |expected: &str, found: String| Error::Checkpoint {
            what: "checkpoint is damaged".to_owned(),
            file: path.to_path_buf(),
            expected: expected.to_owned(),
            found: found.into(),
            remedy: "restore it from a copy, or leave it: an older one is used if there is one"
                .to_owned(),
        };
        let bytes = patiently(|| self.files.read(path))
            .map_err(|e| storage("read a checkpoint", path, e))?;
        let Some((said, found)) = header::sums(&bytes) else {
            return Err(damaged("a whole file", format!("{} bytes without a sum", bytes.len())));
        };
        if said != found {
            return Err(damaged(&format!("sha256 {said}"), found));
        }
        let archive = Archive::from_bytes(&bytes, device)
            .map_err(|e| damaged("a whole file", e.to_string()))?;
        let header = Header::read(&archive.metadata).map_err(|e| damaged("a header of ours", e))?;
        if header.format != header::FORMAT {
            return Err(damaged(header::FORMAT, header.format));
        }
        if path != self.path(header.step) {
            return Err(damaged("the step of its name", format!("step {}", header.step)));
        }
        Ok((header, archive))
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(checkpoint_name(step))
    }

    fn listed(&self) -> Result<Vec<PathBuf>> {
        patiently(|| self.files.list(&self.folder)).map_err(|e| storage("list", &self.folder, e))
    }
}

/// Whether a step is a multiple of `every`, whose checkpoints are kept.
fn is_milestone(step: u64, every: Option<NonZeroU64>) -> bool {
    every.is_some_and(|every| step > 0 && step % every == 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn archive(value: f32) -> Archive {
        let tensor = Tensor::new(vec![value; 100], &Device::Cpu).unwrap();
        Archive { tensors: [("g.w".to_owned(), tensor)].into(), ..Archive::default() }
    }

    fn header(step: u64) -> Header {
        Header::new(step, (step, step), "digest".to_owned())
    }

    #[test]
    fn milestones_are_kept_besides_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 2).unwrap().keeping_every(4);
        for step in 0..=11 {
            store.save(archive(step as f32), &header(step)).unwrap();
        }
        let kept = store.checkpoints().unwrap();
        let steps: Vec<u64> = kept.iter().map(|path| checkpoint_step(path).unwrap()).collect();
        assert_eq!(steps, [4, 8, 10, 11]);
        assert_eq!(store.load(&kept[0], &Device::Cpu).unwrap().0.step, 4);
    }

    /// Saves these steps in a process of its own, whose settings are `to`; those of the process before
    /// it were `from`. Returns the steps that are kept.
    fn kept(
        folder: &Path,
        (from, to): ((usize, u64), (usize, u64)),
        steps: std::ops::RangeInclusive<u64>,
    ) -> Vec<u64> {
        let store = Store::open(folder, to.0).unwrap().keeping_every(to.1).after(from).unwrap();
        for step in steps {
            store.save(archive(step as f32), &header(step)).unwrap();
        }
        store.checkpoints().unwrap().iter().map(|path| checkpoint_step(path).unwrap()).collect()
    }

    #[test]
    fn what_was_kept_by_other_settings_is_not_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |settings, steps| kept(folder.path(), settings, steps);
        assert_eq!(kept(((2, 4), (2, 4)), 0..=11), [4, 8, 10, 11]);
        assert_eq!(kept(((2, 4), (2, 0)), 12..=14), [4, 8, 13, 14]);
        assert_eq!(kept(((2, 0), (3, 5)), 15..=19), [4, 8, 15, 17, 18, 19]);
        assert_eq!(kept(((3, 5), (2, 0)), 20..=23), [4, 8, 15, 22, 23]);
    }

    /// A milestone that was among the newest stays, too. With the same settings nothing else does.
    #[test]
    fn a_milestone_is_none_of_the_newest() {
        for (to, expected) in [((3, 0), &[3, 4, 7, 8, 9][..]), ((3, 4), &[4, 6, 7, 8, 9])] {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(kept(folder.path(), ((3, 4), (3, 4)), 0..=6), [3, 4, 5, 6]);
            assert_eq!(kept(folder.path(), ((3, 4), to), 7..=9), expected);
        }
    }

    #[test]
    fn the_newest_valid_checkpoint_wins_and_two_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 1).unwrap();
        assert!(store.newest(&Device::Cpu).unwrap().found.is_none());
        for step in [1, 2, 3] {
            store.save(archive(step as f32), &header(step)).unwrap();
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
        let path = store.save(archive(1.5), &header(7)).unwrap();
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

    /// It would be refused when it is read.
    #[test]
    fn a_state_of_too_many_tensors_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 2).unwrap();
        let value = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).unwrap();
        let tensors = (0..20_000).map(|n| (format!("g.{n}"), value.clone())).collect();
        let error = store.save(Archive { tensors, ..Archive::default() }, &header(1)).unwrap_err();
        assert!(error.to_string().contains("20000 tensors"), "{error}");
        assert!(store.listed().unwrap().is_empty());
    }

    #[test]
    fn equal_states_are_equal_files() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let save = |folder: &Path| {
            fs::read(Store::open(folder, 2).unwrap().save(archive(0.1), &header(5)).unwrap())
                .unwrap()
        };
        assert_eq!(save(a.path()), save(b.path()));
    }
}
