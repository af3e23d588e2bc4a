//! A decoded pickle.

use super::nodes::Nodes;
use super::value::{NodeId, Value};

/// Maximum nesting depth of containers.
pub const MAX_DEPTH: usize = 64;

/// A decoded pickle: no cycles, at most [`MAX_DEPTH`] containers deep.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) nodes: Nodes<'a>,
    pub(super) root: NodeId,
    /// Memory left for views of the document, in bytes.
    pub(super) room: usize,
}

impl<'a> Document<'a> {
    /// Every decoded value, including those that nothing refers to.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Value<'a>> {
        self.nodes.iter()
    }

    /// The node of the pickled object.
    pub(crate) fn root_id(&self) -> NodeId {
        self.root
    }

    /// Memory left after decoding, in bytes.
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
        self.nodes.get(id)
    }
}
