//! A simulated disk with a cache, in memory. Operations can fail or be the last one, and unsynced
//! ones can be lost or reordered.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use stackgan_train::store::files::Files;

/// Names and contents. A name refers to a content by its number, like an inode in a file system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    names: BTreeMap<PathBuf, usize>,
    contents: Vec<Vec<u8>>,
}

/// A change that is not synced yet.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Name(PathBuf, usize),
    Bytes(usize, usize, Vec<u8>),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Disk {
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Name(path, content) => {
                self.names.insert(path.clone(), *content);
                self.content(*content);
            }
            Change::Bytes(content, at, bytes) => {
                let file = self.content(*content);
                file.resize(file.len().max(at + bytes.len()), 0);
                file[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Change::Rename(from, to) => {
                if let Some(content) = self.names.remove(from) {
                    self.names.insert(to.clone(), content);
                }
            }
            Change::Remove(path) => drop(self.names.remove(path)),
        }
    }

    fn content(&mut self, number: usize) -> &mut Vec<u8> {
        self.contents.resize(self.contents.len().max(number + 1), Vec::new());
        &mut self.contents[number]
    }

    pub(crate) fn file(&self, path: &Path) -> Option<&Vec<u8>> {
        self.names.get(path).map(|&n| &self.contents[n])
    }

    pub(crate) fn put(&mut self, path: &Path, bytes: Vec<u8>) {
        let n = self.names.get(path).copied().unwrap_or(self.contents.len());
        *self.content(n) = bytes;
        self.names.insert(path.to_path_buf(), n);
    }

    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.names.keys().cloned().collect()
    }
}

/// The durable state at some moment, and the pending changes.
pub(crate) type Moment = (Disk, Vec<Change>);

/// A fault at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed; a write is half done.
    Kill,
    /// `EIO`.
    Failure,
    /// A full disk; a write is half done.
    Full,
    /// `EINTR`, once.
    Interrupted,
    /// A write accepts half of its bytes.
    Short,
    /// A write reports success, and the disk holds another byte.
    Wrong,
}

/// A disk whose clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sim {
    pub(crate) now: Rc<RefCell<Disk>>,
    pub(crate) durable: Rc<RefCell<Disk>>,
    pub(crate) pending: Rc<RefCell<Vec<Change>>>,
    /// Number of operations so far.
    pub(crate) calls: Rc<Cell<usize>>,
    pub(crate) fault: Option<(usize, Fault)>,
    pub(crate) dead: Rc<Cell<bool>>,
    /// Maximum number of bytes that a write accepts.
    pub(crate) piece: Option<usize>,
    /// The durable state and the pending changes after each operation.
    pub(crate) history: Rc<RefCell<Vec<Moment>>>,
}

impl Sim {
    /// Returns a disk with these contents and no fault.
    pub(crate) fn holding(disk: Disk) -> Self {
        Self { now: Rc::new(RefCell::new(disk)), ..Self::default() }
    }

    /// Counts an operation, and returns its fault.
    fn call(&self) -> io::Result<Option<Fault>> {
        if self.dead.get() {
            return Err(io::Error::other("killed"));
        }
        let n = self.calls.get();
        self.calls.set(n + 1);
        let met = self.fault.filter(|(at, _)| *at == n).map(|(_, fault)| fault);
        if met == Some(Fault::Kill) {
            self.dead.set(true);
        }
        Ok(met)
    }

    /// The same for operations that are either done or not.
    fn whole(&self) -> io::Result<()> {
        match self.call()? {
            None | Some(Fault::Short | Fault::Wrong) => Ok(()),
            Some(fault) => Err(error(fault)),
        }
    }

    fn change(&self, change: Change) {
        self.now.borrow_mut().apply(&change);
        self.pending.borrow_mut().push(change);
        self.remember();
    }

    fn settle(&self, of: impl Fn(&Change) -> bool) {
        let mut pending = self.pending.borrow_mut();
        let (synced, kept) = pending.drain(..).partition::<Vec<_>, _>(|change| of(change));
        synced.iter().for_each(|change| self.durable.borrow_mut().apply(change));
        *pending = kept;
        drop(pending);
        self.remember();
    }

    fn remember(&self) {
        let state = (self.durable.borrow().clone(), self.pending.borrow().clone());
        self.history.borrow_mut().push(state);
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Kill => io::Error::other("killed"),
        Fault::Failure | Fault::Short | Fault::Wrong => io::Error::from_raw_os_error(5),
        Fault::Full => ErrorKind::StorageFull.into(),
        Fault::Interrupted => ErrorKind::Interrupted.into(),
    }
}

impl Files for Sim {
    /// The number of the content, and the position of the next byte.
    type Open = (usize, usize);

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        self.whole()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.whole()?;
        let names = self.now.borrow().names();
        Ok(names.into_iter().filter(|path| path.parent() == Some(folder)).collect())
    }

    fn create(&self, path: &Path) -> io::Result<(usize, usize)> {
        self.whole()?;
        // Every call creates a new content, even if the name exists: a crash may leave the old one.
        let number = self.now.borrow().contents.len();
        self.change(Change::Name(path.to_path_buf(), number));
        Ok((number, 0))
    }

    fn write(&self, (content, at): &mut (usize, usize), bytes: &[u8]) -> io::Result<usize> {
        let met = self.call()?;
        let bytes = &bytes[..bytes.len().min(self.piece.unwrap_or(usize::MAX))];
        let taken = match met {
            None | Some(Fault::Wrong) => bytes.len(),
            Some(_) => bytes.len() / 2,
        };
        if matches!(met, Some(Fault::Failure | Fault::Interrupted)) {
            return Err(error(met.unwrap_or(Fault::Failure)));
        }
        let mut bytes = bytes[..taken].to_vec();
        if met == Some(Fault::Wrong) {
            bytes[0] ^= 1;
        }
        self.change(Change::Bytes(*content, *at, bytes));
        *at += taken;
        match met {
            Some(fault @ (Fault::Kill | Fault::Full)) => Err(error(fault)),
            _ => Ok(taken),
        }
    }

    fn sync(&self, (content, _): &(usize, usize)) -> io::Result<()> {
        let of_it = |change: &Change| matches!(change, Change::Bytes(of, ..) if of == content);
        if let Err(failed) = self.whole() {
            // What a failed sync had to write is not written later: another sync reports success.
            self.pending.borrow_mut().retain(|change| !of_it(change));
            return Err(failed);
        }
        self.settle(of_it);
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.whole()?;
        self.now.borrow().file(path).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn read_at(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?;
        let rest = bytes.get(at as usize..).unwrap_or_default();
        Ok(rest[..rest.len().min(length)].to_vec())
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(self.read(path)?.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole()?;
        self.change(Change::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole()?;
        self.change(Change::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.whole()?;
        self.settle(|change| !matches!(change, Change::Bytes(..)));
        Ok(())
    }

    fn room(&self, _: &Path) -> Option<u64> {
        Some(1234)
    }
}
