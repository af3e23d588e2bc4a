//! The common form of both containers: a pickle of tensors, and the bytes of each storage by its
//! key.

use crate::formats::ArrayView;
use crate::formats::array::Layout;
use crate::formats::fault::{Fault, Step};
use crate::formats::pickle::{Document, NodeId, Storage, Tensor, Value};
use std::collections::BTreeMap;

/// Cost of an entry in the tree of storages without its key, with its share of a half-full leaf.
pub(super) const ENTRY: usize = 96;

/// The parts of a file.
pub(super) struct Stored<'a> {
    pub(super) document: Document<'a>,
    /// The offset of the pickle of the tensors in the file.
    pub(super) offset: usize,
    pub(super) storages: BTreeMap<Vec<u8>, &'a [u8]>,
    /// The byte order of the storages.
    pub(super) big_endian: bool,
    /// Memory left for the tensors, in bytes.
    pub(super) room: usize,
}

impl<'a> Stored<'a> {
    /// The array of a tensor, whose elements have been checked to be within its storage.
    pub(super) fn view(&self, tensor: &Tensor) -> Step<ArrayView<'a>> {
        let Value::Storage(storage) = self.document.get(tensor.storage) else {
            return self.fault("a storage", "something else".to_owned());
        };
        let bytes = self.bytes(storage)?;
        let mut dtype = storage.dtype;
        dtype.big_endian = self.big_endian;
        let layout = Layout::Strided(tensor.strides.clone(), tensor.offset);
        match ArrayView::new(dtype, tensor.shape.clone(), layout, bytes) {
            Some(view) => Ok(view),
            None => {
                let elements = bytes.len() / dtype.bytes();
                let found = format!("shape {:?} of {elements} elements", tensor.shape);
                self.fault("a tensor within its storage", found)
            }
        }
    }

    fn bytes(&self, storage: &Storage) -> Step<&'a [u8]> {
        let size = storage.dtype.bytes();
        let key = key(&self.document, storage.key);
        let whole = self.storages.get(key).copied();
        let Some(whole) =
            whole.filter(|bytes| storage.count.checked_mul(size) == Some(bytes.len()))
        else {
            let found = whole.map_or("none".to_owned(), |bytes| format!("{} bytes", bytes.len()));
            return self.fault("a storage of the length that is stated", found);
        };
        let part = match storage.part {
            None => Some(whole),
            Some((first, count)) => {
                let range = first.checked_mul(size).zip(count.checked_mul(size));
                range.and_then(|(start, length)| whole.get(start..)?.get(..length))
            }
        };
        part.map_or_else(|| self.fault("a part of a storage", "one beyond its end".to_owned()), Ok)
    }

    fn fault<T>(&self, expected: &str, found: String) -> Step<T> {
        Err(Fault::new(self.offset, "tensor does not fit its storage", (expected, found)))
    }
}

/// The string in a node.
pub(super) fn key<'d>(document: &'d Document<'_>, id: NodeId) -> &'d [u8] {
    document.get(id).string().unwrap_or_default()
}
