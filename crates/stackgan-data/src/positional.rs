//! Reads a file by position from many threads, without a shared cursor and without mapping it into
//! memory (the truncation of a mapped file by another process would kill this one).

use std::fs::File;
use std::io;

/// An open file that is read by position.
#[derive(Debug)]
pub(crate) struct PositionalFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
}

impl PositionalFile {
    pub(crate) fn new(file: File) -> Self {
        #[cfg(unix)]
        return Self { file };
        #[cfg(not(unix))]
        return Self { file: std::sync::Mutex::new(file) };
    }

    /// Fills `buffer` from `offset`.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset);
        #[cfg(not(unix))]
        {
            use std::io::{Read as _, Seek as _};
            let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            file.seek(io::SeekFrom::Start(offset))?;
            file.read_exact(buffer)
        }
    }
}
