//! The interface to a dataset for training the encoder.

use stackgan_data::prepared::Prepared;

use crate::Result;

/// Pictures with classes and captions.
pub trait TextSource {
    /// The class of every picture.
    fn classes(&self) -> &[u32];

    /// The captions of picture `i`; empty beyond the end.
    fn captions(&self, i: usize) -> &[String];

    /// Side of the pictures in pixels, at least 64.
    fn side(&self) -> usize;

    /// Picture `i`: `side * side * 3` bytes, RGB, row by row.
    ///
    /// # Errors
    /// When there is no such picture, or it cannot be read.
    fn picture(&self, i: usize) -> Result<Vec<u8>>;
}

impl TextSource for Prepared {
    fn classes(&self) -> &[u32] {
        self.classes()
    }

    fn captions(&self, i: usize) -> &[String] {
        self.captions(i)
    }

    fn side(&self) -> usize {
        self.size().prepared()
    }

    fn picture(&self, i: usize) -> Result<Vec<u8>> {
        Ok(self.image(i)?)
    }
}
