//! What a PyTorch pickle names in addition to numpy's values: tensors as strided views of storages,
//! storages as persistent ids, and ordered dicts as Python 2 and 3 write them.
//!
//! Source: `torch._utils`, `torch.serialization`.

use super::heap::Heap;
use super::value::{Global, NodeId, Storage, Tensor, Value};
use crate::formats::fault::Step;
use crate::formats::{DType, Kind};

/// Maximum number of dimensions.
const MAX_DIMS: usize = 32;

/// The global with this name.
pub(super) fn global(module: &[u8], name: &[u8]) -> Option<Global> {
    Some(match (module, name) {
        (b"collections", b"OrderedDict") => Global::OrderedDict,
        (b"torch._utils", b"_rebuild_tensor" | b"_rebuild_tensor_v2") => Global::Tensor,
        (b"torch._utils", b"_rebuild_parameter") => Global::Parameter,
        (b"torch" | b"torch.cuda", storage) => {
            Global::StorageClass(match storage.strip_suffix(b"Storage")? {
                b"Bool" => DType::little(Kind::Bool, 1), // Lua Torch has none
                element => DType::of_torch(element)?,
            })
        }
        _ => return None,
    })
}

/// A persistent id: `('storage', class, key, location, count)` or `None`. In legacy files the first
/// form also has the part of another storage that this one is:
/// `(key of the part, first element, elements)`.
pub(super) fn storage<'a>(heap: &Heap<'a>, id: NodeId) -> Step<Value<'a>> {
    let items = tuple(heap, id);
    let part = |i: usize| items.get(i).map_or(&Value::None, |&id| heap.get(id));
    let whole = match (part(1), items.get(2), size(part(4))) {
        (&Value::Global(Global::StorageClass(dtype)), Some(&key), Some(count))
            if part(0).string() == Some(b"storage") && heap.get(key).string().is_some() =>
        {
            Some((dtype, key, count))
        }
        _ => None,
    };
    let view = match part(5) {
        Value::None => Some(None),
        Value::Tuple(view) => {
            let of = |i: usize| view.get(i).and_then(|&id| size(heap.get(id)));
            of(1).zip(of(2)).map(Some)
        }
        _ => None,
    };
    match (whole, view) {
        (Some((dtype, key, count)), Some(part)) => {
            Ok(Value::Storage(Box::new(Storage { dtype, key, count, part })))
        }
        _ => heap.input.fault(
            "persistent id is not that of a storage",
            "('storage', class, key, location, count)",
            match part(0).string() {
                Some(b"module") => "the source of a class: a whole network was saved",
                _ => heap.kind(id),
            },
        ),
    }
}

/// REDUCE of one of the globals of this file.
pub(super) fn call<'a>(heap: &mut Heap<'a>, global: Global, arguments: NodeId) -> Step<Value<'a>> {
    let items = tuple(heap, arguments);
    let first = items.first().copied();
    match global {
        Global::OrderedDict => match first {
            None if matches!(heap.get(arguments), Value::Tuple(_)) => Ok(Value::Dict(Vec::new())),
            Some(pairs) => pairs_of(heap, pairs),
            None => heap.input.fault("malformed dict", "a tuple", heap.kind(arguments)),
        },
        Global::Parameter => match first.map(|id| heap.get(id)) {
            Some(Value::Tensor(tensor)) => Ok(Value::Tensor(tensor.clone())),
            _ => heap.input.fault("malformed parameter", "its tensor", "something else"),
        },
        _ => tensor(heap, items),
    }
}

/// Python 2's `OrderedDict`: a list of two-element lists.
fn pairs_of<'a>(heap: &mut Heap<'a>, pairs: NodeId) -> Step<Value<'a>> {
    let Value::List(items) = heap.get(pairs) else {
        let found = heap.kind(pairs);
        return heap.input.fault("malformed dict", "a list of pairs", found);
    };
    let n = items.len();
    heap.charge(n.saturating_mul(size_of::<(NodeId, NodeId)>()))?;
    let mut dict = Vec::with_capacity(n);
    if let Value::List(items) = heap.get(pairs) {
        for &item in items {
            match heap.get(item) {
                Value::List(pair) | Value::Tuple(pair) if pair.len() == 2 => {
                    dict.extend(pair.first().copied().zip(pair.get(1).copied()));
                }
                other => {
                    let found = other.kind();
                    return heap.input.fault("malformed dict", "a list of pairs", found);
                }
            }
        }
    }
    Ok(Value::Dict(dict))
}

/// `(storage, offset, shape, strides)`; version 2 adds values for training.
fn tensor<'a>(heap: &Heap<'a>, items: &[NodeId]) -> Step<Value<'a>> {
    let part = |i: usize| items.get(i).map_or(&Value::None, |&id| heap.get(id));
    let extents = |i: usize| match part(i) {
        Value::Tuple(extents) if extents.len() <= MAX_DIMS => {
            extents.iter().map(|&id| size(heap.get(id))).collect::<Option<Vec<_>>>()
        }
        _ => None,
    };
    match (part(0), size(part(1)), extents(2), extents(3), items.first()) {
        (Value::Storage(_), Some(offset), Some(shape), Some(strides), Some(&storage))
            if shape.len() == strides.len() =>
        {
            Ok(Value::Tensor(Box::new(Tensor { storage, offset, shape, strides })))
        }
        _ => heap.input.fault(
            "malformed tensor",
            "(storage, offset, shape, strides)",
            format!("{}, {}, {}", part(0).kind(), part(1).kind(), part(2).kind()),
        ),
    }
}

fn tuple<'m>(heap: &'m Heap<'_>, id: NodeId) -> &'m [NodeId] {
    match heap.get(id) {
        Value::Tuple(items) => items,
        _ => &[],
    }
}

fn size(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}
