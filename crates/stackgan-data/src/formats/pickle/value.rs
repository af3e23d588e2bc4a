//! The decoded form of a pickle: a flat arena of plain values that refer to each other by index.
//!
//! Sharing costs nothing, so a memo bomb stays as small as its file. Dropping is a loop, so depth
//! cannot overflow the stack. Long strings are borrowed from the input.

use crate::formats::DType;
use std::borrow::Cow;

/// The index of a value in its [`Document`](super::Document).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

/// A function or class of the allow-list. No Python code is run; each has a fixed meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `numpy.core.multiarray._reconstruct`: an array whose contents follow.
    Reconstruct,
    /// `numpy.core.multiarray.scalar`: one number.
    Scalar,
    /// `numpy.core.numeric._frombuffer`: an array in protocol 5.
    FromBuffer,
    /// `numpy.ndarray`, an argument of `_reconstruct`.
    NdArray,
    /// `numpy.dtype`.
    DType,
    /// `_codecs.encode`, by which Python 3 writes bytes in protocols 0 to 2.
    Encode,
    /// `bytes` without arguments, by which it writes empty ones there.
    Bytes,
    /// `collections.OrderedDict`: a dict.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: a view of a storage.
    Tensor,
    /// `torch._utils._rebuild_parameter`: a trained tensor.
    Parameter,
    /// `torch.FloatStorage` and the like: the element type of a storage.
    StorageClass(DType),
}

/// A PyTorch storage: numbers elsewhere in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Element type.
    pub dtype: DType,
    /// The string that identifies it in the file.
    pub key: NodeId,
    /// Number of elements of the whole storage with this key.
    pub count: usize,
    /// If this is a part of the storage: its first element and number of elements.
    pub part: Option<(usize, usize)>,
}

/// A PyTorch tensor: a strided view of a storage, not yet checked against its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The node of the storage.
    pub storage: NodeId,
    /// Number of elements before the first.
    pub offset: usize,
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// Distance in elements between neighbours along each dimension.
    pub strides: Vec<usize>,
}

/// A numpy array. The length of its data has been checked to be `shape.product() * dtype.bytes()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Element type and byte order.
    pub dtype: DType,
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// Distance in elements between neighbours along each dimension: row-major, column-major, or
    /// with permuted axes.
    pub strides: Vec<usize>,
    /// The node of the bytes.
    pub data: NodeId,
}

/// One value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Python 3 `bytes` or Python 2 `str`.
    Bytes(Cow<'a, [u8]>),
    /// Python 3 `str` or Python 2 `unicode`.
    Text(Cow<'a, str>),
    /// Long text of protocol 0 with escapes or Latin-1, as a raw line: raw-unicode-escape, not yet
    /// checked.
    RawText(&'a [u8]),
    /// A list.
    List(Vec<NodeId>),
    /// A tuple.
    Tuple(Vec<NodeId>),
    /// A dict, in the order of the file, with duplicate keys.
    Dict(Vec<(NodeId, NodeId)>),
    /// A numpy element type.
    DType(DType),
    /// A numpy array whose contents have not been set.
    EmptyArray,
    /// A numpy array.
    Array(Box<Array>),
    /// A numpy scalar: its type and its bytes (the first `dtype.bytes()` of them).
    Scalar(DType, [u8; 8]),
    /// A function or class of the allow-list.
    Global(Global),
    /// A PyTorch storage.
    Storage(Box<Storage>),
    /// A PyTorch tensor.
    Tensor(Box<Tensor>),
}

impl Value<'_> {
    /// The kind of the value, for error messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bytes(_) => "a byte string",
            Self::Text(_) | Self::RawText(_) => "a text string",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dict",
            Self::DType(_) => "a numpy dtype",
            Self::EmptyArray => "a numpy array without contents",
            Self::Array(_) => "a numpy array",
            Self::Scalar(..) => "a numpy scalar",
            Self::Global(_) => "a function or class",
            Self::Storage(_) => "a PyTorch storage",
            Self::Tensor(_) => "a PyTorch tensor",
        }
    }

    /// Whether this is a list, tuple or dict.
    #[must_use]
    pub fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Tuple(_) | Self::Dict(_))
    }

    /// A string of either type, as bytes. None of long text that is not decoded.
    pub(crate) fn string(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The `i`-th value that this one refers to.
    pub(super) fn child(&self, i: usize) -> Option<NodeId> {
        match self {
            Self::List(items) | Self::Tuple(items) => items.get(i).copied(),
            Self::Dict(pairs) => {
                pairs.get(i / 2).map(|&(key, value)| if i.is_multiple_of(2) { key } else { value })
            }
            _ => None,
        }
    }
}
