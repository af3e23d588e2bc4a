//! The functions and classes that a pickle may name, and their meanings: numpy arrays, scalars and
//! element types, of numpy 1 and 2.

use super::heap::Heap;
use super::operands::each_raw_unicode;
use super::value::{Array, Global, NodeId, Value};
use crate::error::printable;
use crate::formats::DType;
use crate::formats::array::{column_major, row_major};
use crate::formats::fault::Step;
use std::borrow::Cow;

/// The global with this name.
pub(super) fn global(module: &[u8], name: &[u8]) -> Option<Global> {
    Some(match (module, name) {
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => {
            Global::Reconstruct
        }
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar") => Global::Scalar,
        (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => Global::FromBuffer,
        (b"numpy", b"ndarray") => Global::NdArray,
        (b"numpy", b"dtype") => Global::DType,
        (b"_codecs", b"encode") => Global::Encode,
        (b"__builtin__" | b"builtins", b"bytes") => Global::Bytes,
        _ => return None,
    })
}

/// REDUCE: the result of a call.
pub(super) fn call<'a>(
    heap: &mut Heap<'a>,
    function: NodeId,
    arguments: NodeId,
) -> Step<Value<'a>> {
    let (global, items) = match (heap.get(function), heap.get(arguments)) {
        (&Value::Global(global), Value::Tuple(items)) => (global, items),
        (function, arguments) => {
            let found = format!("{} called with {}", function.kind(), arguments.kind());
            return heap.input.fault("pickle is malformed", "a function and a tuple", found);
        }
    };
    let ids = [0, 1, 2, 3, 4].map(|i| items.get(i).copied());
    if global == Global::Encode {
        return encode(heap, ids[0], ids[1]);
    }
    let heap = &*heap;
    let [first, second, third, fourth, fifth] =
        ids.map(|id| id.map_or(&Value::None, |id| heap.get(id)));
    match (global, first, second) {
        // The arguments are the class, a shape, and a type; BUILD replaces the last two.
        (Global::Reconstruct, Value::Global(Global::NdArray), _) => Ok(Value::EmptyArray),
        (Global::DType, name, _) => dtype(heap, name),
        (Global::Bytes, ..) if ids[0].is_none() => Ok(Value::Bytes(Cow::default())),
        (Global::Scalar, &Value::DType(dtype), Value::Bytes(raw)) if raw.len() == dtype.bytes() => {
            let mut bytes = [0; 8];
            for (slot, &byte) in bytes.iter_mut().zip(raw.iter()) {
                *slot = byte;
            }
            Ok(Value::Scalar(dtype, bytes))
        }
        (Global::FromBuffer, Value::Bytes(_), Value::DType(dtype)) => {
            let data = ids[0].unwrap_or(arguments);
            let order = match (fourth.string(), fifth) {
                (Some(b"C"), _) => Order::RowMajor,
                (Some(b"F"), _) => Order::ColumnMajor,
                // numpy 2.3 and later: the shape of the bytes, and the order of the axes.
                (Some(b"K"), Value::Tuple(axes)) => Order::Axes(axes),
                _ => {
                    let found = fourth.string().map_or_else(|| fourth.kind().to_owned(), shown);
                    return heap.input.fault(
                        "numpy array has an unknown order",
                        "C, F or K with axes",
                        found,
                    );
                }
            };
            array(heap, *dtype, third, order, data)
        }
        _ => heap.input.fault(
            "malformed numpy value",
            "the arguments that numpy writes",
            format!("{global:?} of {}, {}", first.kind(), second.kind()),
        ),
    }
}

/// BUILD: the value of `target` after `state` has been applied.
pub(super) fn build<'a>(heap: &Heap<'a>, target: NodeId, state: NodeId) -> Step<Value<'a>> {
    let Value::Tuple(items) = heap.get(state) else {
        let found = heap.get(state).kind();
        return heap.input.fault("malformed numpy value", "its state as a tuple", found);
    };
    let part = |i: usize| items.get(i).map_or(&Value::None, |&id| heap.get(id));
    match heap.get(target) {
        Value::EmptyArray => {
            let order = match part(3) {
                Value::Bool(false) | Value::Int(0) => Some(Order::RowMajor),
                Value::Bool(true) | Value::Int(1) => Some(Order::ColumnMajor),
                _ => None,
            };
            match (part(0), part(2), order, items.get(4)) {
                (Value::Int(1), Value::DType(dtype), Some(order), Some(&data)) => {
                    array(heap, *dtype, part(1), order, data)
                }
                _ => heap.input.fault(
                    "malformed numpy array",
                    "the state (1, shape, dtype, order, data)",
                    "another state",
                ),
            }
        }
        Value::DType(dtype) => {
            // (version, byte order, subtype, field names, fields, …): the three are None for plain
            // numbers.
            let plain = matches!(part(0), Value::Int(3 | 4))
                && (2..5).all(|i| matches!(part(i), Value::None));
            match (plain, part(1).string()) {
                (true, Some(b"<" | b"|")) => {
                    Ok(Value::DType(DType { big_endian: false, ..*dtype }))
                }
                (true, Some(b">")) => Ok(Value::DType(DType { big_endian: true, ..*dtype })),
                _ => heap.input.fault(
                    "numpy dtype is not supported",
                    "a plain number with byte order <, > or |",
                    "a structured dtype or another order",
                ),
            }
        }
        other => {
            let found = other.kind();
            heap.input.fault("pickle is malformed", "a state for an array or dtype", found)
        }
    }
}

fn dtype<'a>(heap: &Heap<'a>, name: &Value<'_>) -> Step<Value<'a>> {
    match name.string().map(|name| DType::parse(name).ok_or_else(|| shown(name))) {
        Some(Ok(dtype)) => Ok(Value::DType(dtype)),
        refused => heap.input.fault(
            "numpy dtype is not supported",
            "b1, i1 to i8, u1 to u8, f2, f4 or f8",
            refused.and_then(Result::err).unwrap_or_else(|| name.kind().to_owned()),
        ),
    }
}

/// The arrangement of an array's elements in its bytes.
enum Order<'m> {
    /// The last index varies fastest.
    RowMajor,
    /// The first index varies fastest.
    ColumnMajor,
    /// Row-major, then with the axes permuted in this order.
    Axes(&'m [NodeId]),
}

/// An array whose data has the length that its shape requires.
fn array<'a>(
    heap: &Heap<'a>,
    dtype: DType,
    shape: &Value<'_>,
    order: Order<'_>,
    data: NodeId,
) -> Step<Value<'a>> {
    const MAX_DIMS: usize = 32; // the limit of numpy 1
    let shape: Option<Vec<usize>> = match shape {
        Value::Tuple(extents) if extents.len() <= MAX_DIMS => {
            let extent = |&id: &NodeId| match heap.get(id) {
                Value::Int(extent) => usize::try_from(*extent).ok(),
                _ => None,
            };
            extents.iter().map(extent).collect()
        }
        _ => None,
    };
    let Some(shape) = shape else {
        return heap.input.fault("malformed numpy array", "a shape", "something else");
    };
    let size = shape.iter().try_fold(dtype.bytes(), |size, &extent| size.checked_mul(extent));
    match heap.get(data) {
        Value::Bytes(bytes) if Some(bytes.len()) == size => {
            let (mut strides, mut shape) = match order {
                Order::RowMajor => (row_major(&shape), shape),
                Order::ColumnMajor => (column_major(&shape), shape),
                Order::Axes(axes) => match moved(heap, axes, &shape) {
                    Some((shape, strides)) => (strides, shape),
                    None => {
                        let expected = format!("each axis of shape {shape:?} once");
                        return heap.input.fault("malformed numpy array", expected, "other axes");
                    }
                },
            };
            strides.shrink_to_fit();
            shape.shrink_to_fit();
            Ok(Value::Array(Box::new(Array { dtype, shape, strides, data })))
        }
        Value::Bytes(bytes) => heap.input.fault(
            "numpy array has the wrong length",
            match size {
                Some(size) => format!("{size} bytes for shape {shape:?}"),
                None => format!("a size that can exist, not shape {shape:?}"),
            },
            format!("{} bytes", bytes.len()),
        ),
        other => heap.input.fault("numpy array holds no numbers", "its bytes", other.kind()),
    }
}

/// Sizes and strides of a row-major array of `shape` with its axes permuted by `axes`; `None`
/// unless `axes` is a permutation.
fn moved(heap: &Heap<'_>, axes: &[NodeId], shape: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
    let strides = row_major(shape);
    let mut left: Vec<_> = shape.iter().zip(&strides).map(Some).collect();
    let mut axis = |id: &NodeId| match heap.get(*id) {
        Value::Int(axis) => {
            let (&extent, &stride) = left.get_mut(usize::try_from(*axis).ok()?)?.take()?;
            Some((extent, stride))
        }
        _ => None,
    };
    let moved: (Vec<usize>, Vec<usize>) = axes.iter().map(&mut axis).collect::<Option<_>>()?;
    (axes.len() == shape.len()).then_some(moved)
}

/// `_codecs.encode(text, 'latin1')`, by which Python 3 writes bytes in protocols without a bytes
/// opcode.
fn encode<'a>(
    heap: &mut Heap<'a>,
    string: Option<NodeId>,
    codec: Option<NodeId>,
) -> Step<Value<'a>> {
    let known = codec
        .and_then(|id| heap.get(id).string())
        .is_some_and(|codec| matches!(codec, b"latin1" | b"latin-1"));
    let (true, Some(id)) = (known, string) else {
        return heap.input.fault("malformed bytes", "text encoded as latin1", "another codec");
    };
    let mut length = 0;
    if each_latin1(heap.get(id), |_| length += 1).is_none() {
        let (expected, found) = match heap.get(id) {
            Value::Text(_) | Value::RawText(_) => ("Latin-1 characters", "others"),
            other => ("text encoded as latin1", other.kind()),
        };
        return heap.input.fault("malformed bytes", expected, found);
    }
    heap.charge(length)?;
    let mut bytes = Vec::with_capacity(length);
    each_latin1(heap.get(id), |byte| bytes.push(byte));
    Ok(Value::Bytes(bytes.into()))
}

/// Calls `take` with each character of a text as a byte; `None` if it is not Latin-1, or no text.
fn each_latin1(value: &Value<'_>, mut take: impl FnMut(u8)) -> Option<()> {
    let byte = |c: char| {
        take(u8::try_from(c).ok()?);
        Some(())
    };
    match value {
        Value::Text(text) => text.chars().try_for_each(byte),
        Value::RawText(line) => each_raw_unicode(line, byte),
        _ => None,
    }
}

pub(super) fn shown(name: &[u8]) -> String {
    printable(&String::from_utf8_lossy(name))
}
