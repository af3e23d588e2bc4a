//! The CRC-32C of every row of a tensor, in a tensor behind it: rows are read by position, so each
//! is checked by itself when it is read. Files of earlier versions have none.

use crate::Result;
use crate::container::{Container, Element, Spec, Tensor, words};

/// The name of the tensor of sums.
const NAME: &str = "row_crc32c";

/// The sums of rows that are being written.
#[derive(Debug, Default)]
pub(crate) struct Sums(Vec<u32>);

impl Sums {
    /// Adds the sums of whole rows of `width` bytes.
    pub(crate) fn add(&mut self, rows: &[u8], width: usize) {
        self.0.extend(rows.chunks_exact(width.max(1)).map(crc32c::crc32c));
    }

    /// The tensor, for `rows` rows.
    pub(crate) const fn spec<'a>(rows: &'a [usize; 1]) -> Spec<'a> {
        Spec { name: NAME, element: Element::U32, shape: rows }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|sum| sum.to_le_bytes()).collect()
    }
}

/// The sums in a file.
#[derive(Debug)]
pub(crate) struct StoredSums(Tensor);

impl StoredSums {
    /// Finds the sums of `rows` rows, if the file has sums.
    ///
    /// # Errors
    /// When they are not of that many rows.
    pub(crate) fn find(container: &Container, rows: usize) -> Result<Option<Self>> {
        if !container.has(NAME) {
            return Ok(None);
        }
        let tensor = container.tensor(NAME, Element::U32, 1)?;
        if tensor.shape == [rows] {
            return Ok(Some(Self(tensor)));
        }
        let found = format!("{:?}", tensor.shape);
        Err(container.malformed(NAME, format!("shape [{rows}]"), found))
    }

    /// Checks `read`, whole rows of `width` bytes from row `first` on. `place` says for the error what
    /// a row is.
    ///
    /// # Errors
    /// When a row is not the one that was written.
    pub(crate) fn check(
        &self,
        container: &Container,
        (first, place): (usize, &dyn Fn(usize) -> String),
        read: &[u8],
        width: usize,
    ) -> Result<()> {
        let rows = read.chunks_exact(width.max(1));
        let sums = container.read(&self.0, 4 * first as u64, 4 * rows.len())?;
        let pairs = rows.zip(words(&sums).map(u32::from_le_bytes)).enumerate();
        for (i, (row, said)) in pairs {
            let found = crc32c::crc32c(row);
            if found != said {
                let place = place(first + i);
                let expected = format!("numbers with the CRC-32C {said:08x}, as written");
                return Err(container.malformed(&place, expected, format!("{found:08x}")));
            }
        }
        Ok(())
    }
}
