//! What a pickle decodes to: a flat arena of plain values that name each other by index.
//!
//! Sharing costs nothing, so a memo bomb stays as small as its file; dropping is a loop, so depth cannot
//! overflow the stack. Long strings are borrowed from the input.

use crate::formats::DType;
use std::borrow::Cow;

/// The index of a value in its [`Document`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

/// A function or class of the allow-list. Nothing of Python is run: each has a fixed meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `numpy.core.multiarray._reconstruct`: an array whose contents follow.
    Reconstruct,
    /// `numpy.core.multiarray.scalar`: one number.
    Scalar,
    /// `numpy.core.numeric._frombuffer`: an array of protocol 5.
    FromBuffer,
    /// `numpy.ndarray`, an argument of `_reconstruct`.
    NdArray,
    /// `numpy.dtype`.
    DType,
    /// `_codecs.encode`, by which Python 3 writes bytes in protocols 0 to 2.
    Encode,
    /// `collections.OrderedDict`: a dict.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: a view of a storage.
    Tensor,
    /// `torch._utils._rebuild_parameter`: a tensor that is trained.
    Parameter,
    /// `torch.FloatStorage` and its sisters: the element type of a storage.
    StorageClass(DType),
}

/// A PyTorch storage: numbers that lie elsewhere in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Element type.
    pub dtype: DType,
    /// The string by which the file names it.
    pub key: NodeId,
    /// Elements of the whole storage of this key.
    pub count: usize,
    /// The part that this one is, when it is a part: first element, and elements.
    pub part: Option<(usize, usize)>,
}

/// A PyTorch tensor: a strided view of a storage, not yet compared with its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The node that is the storage.
    pub storage: NodeId,
    /// Elements before the first.
    pub offset: usize,
    /// Extent of each dimension.
    pub shape: Vec<usize>,
    /// Elements between neighbours along each dimension.
    pub strides: Vec<usize>,
}

/// A numpy array. `shape.product() * dtype.bytes()` is the length of its data, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Element type and byte order.
    pub dtype: DType,
    /// Extent of each dimension.
    pub shape: Vec<usize>,
    /// Elements between neighbours along each dimension: row-major, column-major, or the axes in another order.
    pub strides: Vec<usize>,
    /// The node that holds the bytes.
    pub data: NodeId,
}

/// One value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A float.
    Float(f64),
    /// Python 3 `bytes` or Python 2 `str`.
    Bytes(Cow<'a, [u8]>),
    /// Python 3 `str` or Python 2 `unicode`.
    Text(Cow<'a, str>),
    /// Long text of protocol 0 with escapes or Latin-1, as its line stands: raw-unicode-escape, not yet checked.
    RawText(&'a [u8]),
    /// A list.
    List(Vec<NodeId>),
    /// A tuple.
    Tuple(Vec<NodeId>),
    /// A dict, in the order of the file, later duplicates kept.
    Dict(Vec<(NodeId, NodeId)>),
    /// A numpy element type.
    DType(DType),
    /// A numpy array before its contents.
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
    /// What kind of value this is, for error messages.
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

/// A decoded pickle: no cycles, at most [`super::MAX_DEPTH`] containers deep.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) nodes: Vec<Value<'a>>,
    pub(super) root: NodeId,
    /// Memory that may still be used for what is made of it, in bytes.
    pub(super) room: usize,
}

impl<'a> Document<'a> {
    /// Every value that was decoded, those too that nothing refers to.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Value<'a>> {
        self.nodes.iter()
    }

    /// The pickled object's node.
    pub(crate) fn root_id(&self) -> NodeId {
        self.root
    }

    /// Memory that decoding has left, in bytes.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// The pickled object itself.
    #[must_use]
    pub fn root(&self) -> &Value<'a> {
        self.get(self.root)
    }

    /// The value at `id`, which must come from this document ([`Value::None`] otherwise).
    #[must_use]
    pub fn get(&self, id: NodeId) -> &Value<'a> {
        self.nodes.get(id.0 as usize).unwrap_or(&Value::None)
    }
}
