//! Tensors and storages of `.t7`: the element type of each class, and a tensor's view of its
//! storage.

use super::super::{DType, Kind};

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
    let element = match element {
        b"Cuda" => b"Float",
        _ => element.strip_prefix(b"Cuda").unwrap_or(element),
    };
    Some(match element {
        b"Byte" => DType::little(Kind::Unsigned, 1),
        b"Char" => DType::little(Kind::Int, 1),
        b"Short" => DType::little(Kind::Int, 2),
        b"Int" => DType::little(Kind::Int, 4),
        b"Long" => DType::little(Kind::Int, 8),
        b"Half" => DType::little(Kind::Float, 2),
        b"Float" => DType::little(Kind::Float, 4),
        b"Double" => DType::little(Kind::Float, 8),
        _ => return None,
    })
}
