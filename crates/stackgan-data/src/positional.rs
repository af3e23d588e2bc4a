//! Reads a file by position from many threads, without a shared cursor and without mapping it into
//! memory (the truncation of a mapped file by another process would kill this one).

use std::fs::File;
use std::io;

/// Fills `buffer` with the bytes of `file` from `offset` on. Where a next read without a position
/// would begin is then not known.
///
/// # Errors
/// When the system cannot read, or the file ends too early.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    {
        let (mut rest, mut at) = (buffer, offset);
        while !rest.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(file, rest, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => (rest, at) = (rest.split_at_mut(read).1, at + read as u64),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
