//! Measures the memory limit of every reader: while a file is read, the heap contains at most twice
//! the file's size plus 16 MiB, including the file. This is a separate program because the count is
//! global. Its tests run one at a time.
#![allow(clippy::unwrap_used, reason = "tests")]

mod hostile;
mod mutations;
#[expect(dead_code, reason = "the other program of tests compares what files hold")]
#[path = "../it/packs.rs"]
mod packs;
mod pictures;
mod prepared;
mod readers;
#[path = "../it/tables.rs"]
mod tables;

use peak_alloc::PeakAlloc;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

static TURN: Mutex<()> = Mutex::new(());

/// Must be called before a test allocates memory that another test could count.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads `bytes`, asserts the limit, and returns the reader's result.
fn within_bar(name: &str, bytes: &Vec<u8>, read: readers::Read) -> Result<(), String> {
    let before = HEAP.current_usage() - bytes.capacity();
    HEAP.reset_peak_usage();
    let said = read(bytes);
    let peak = HEAP.peak_usage() - before;
    let bar = 2 * bytes.len() + (16 << 20);
    assert!(peak <= bar, "{name}: {peak} bytes of heap for a file of {}", bytes.len());
    said
}
