//! Signals.

use std::io;
use std::sync::Arc;

pub(super) use signal_hook::consts::SIGINT;
use signal_hook::consts::{SIGHUP, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
pub(super) use signal_hook::low_level::exit;

/// Calls `handle` with the number of each signal, on a thread of its own.
///
/// # Errors
/// When the system does not allow the handlers.
pub(super) fn receive(mut handle: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    let hang_up = (!ignored(SIGHUP)).then_some(SIGHUP);
    let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hang_up))?;
    let work = move || signals.forever().for_each(&mut handle);
    std::thread::Builder::new().name("signals".to_owned()).spawn(work)?;
    Ok(())
}

/// Makes a write beyond the process's file size limit fail, like a full disk, instead of killing
/// the program.
///
/// # Errors
/// When the system does not allow it.
pub(crate) fn survive_file_limits() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Ok(())
}

/// Whether a signal is ignored, or the system does not say (`SigIgn` of proc(5): one bit for each
/// signal, from 1).
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}
