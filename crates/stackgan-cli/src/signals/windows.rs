//! What Windows has for signals: console events.

use std::io;
pub(super) use std::process::exit;

/// The number of Ctrl-C, as the exit codes of the program count it.
pub(super) const SIGINT: i32 = 2;

/// Calls `handle` at each console event, on a thread of its own.
///
/// # Errors
/// When the system does not allow the handler.
pub(super) fn receive(mut handle: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || handle(SIGINT)).map_err(io::Error::other)
}

/// Windows has no limit for a file's size.
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(crate) const fn survive_file_limits() -> io::Result<()> {
    Ok(())
}
