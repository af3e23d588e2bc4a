//! The bar of every reader, measured: while a file is read the heap holds at most twice the file and 16 MiB, the file
//! included. A program of its own, because the count is global; its tests take turns.
#![allow(clippy::unwrap_used, reason = "tests")]

mod hostile;
mod mutations;
#[expect(dead_code, reason = "the other program of tests compares what files hold")]
#[path = "../it/packs.rs"]
mod packs;
mod prepared;
mod readers;

use peak_alloc::PeakAlloc;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

static TURN: Mutex<()> = Mutex::new(());

/// To be taken before anything is allocated that others could count as theirs.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads `bytes` and asserts the bar; what the reader said.
fn within_bar(name: &str, bytes: &Vec<u8>, read: readers::Read) -> Result<(), String> {
    let before = HEAP.current_usage() - bytes.capacity();
    HEAP.reset_peak_usage();
    let said = read(bytes);
    let peak = HEAP.peak_usage() - before;
    let bar = 2 * bytes.len() + (16 << 20);
    assert!(peak <= bar, "{name}: {peak} bytes of heap for a file of {}", bytes.len());
    said
}
