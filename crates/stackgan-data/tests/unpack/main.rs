//! Datasets in shards: what the genuine tools write is read, and what is damaged or hostile is
//! refused within the limits of memory. A separate program, because the heap is counted globally.
#![allow(clippy::unwrap_used, reason = "tests")]

mod genuine;
mod hostile;
mod mutations;
mod parquets;
mod splits;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;
use stackgan_data::prepared::Damaged;
use stackgan_data::unpack::{Columns, Report, Request, unpack};
use stackgan_data::{Error, Result};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

static TURN: Mutex<()> = Mutex::new(());

/// Must be called before a test allocates memory that another test could count.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the path of a fixture.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shards").join(name)
}

/// Unpacks these files into `out`.
fn into(out: &Path, sources: &[PathBuf], columns: &Columns, damaged: Damaged) -> Result<Report> {
    unpack(&Request { sources, out, columns, damaged }, &mut |_| {})
}

/// Unpacks a file that must be refused. Nothing may be left in the folder.
fn refused(source: &Path, columns: &Columns) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let error = into(&out, &[source.to_path_buf()], columns, Damaged::Refuse).unwrap_err();
    assert_eq!(dir.path().read_dir().unwrap().count(), 0, "something was left: {error}");
    let said = error.to_string();
    assert!(said.contains("expected ") && said.contains("\n  do: "), "{said}");
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said}");
    error
}
