//! Tensors and storages of `.t7`: the element type of each class, and a tensor's view of its
//! storage.

use super::super::DType;

/// A class of tensors or storages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Tensor(DType),
    Storage(DType),
}

/// The class with this name; `None` for any other.
pub(super) fn class(name: &[u8]) -> Option<Class> {
    let name = name.strip_prefix(b"torch.")?;
    if let Some(element) = name.strip_suffix(b"Tensor") {
        return dtype(element).map(Class::Tensor);
    }
    dtype(name.strip_suffix(b"Storage")?).map(Class::Storage)
}

fn dtype(element: &[u8]) -> Option<DType> {
    DType::of_torch(match element {
        b"Cuda" => b"Float",
        _ => element.strip_prefix(b"Cuda").unwrap_or(element),
    })
}
