//! What a pickle has made so far and the memory that it may still use; with the place in the
//! pickle, for faults. Calls and states see this and not the machine's stack.

use super::nodes::Nodes;
use super::operands::Input;
use super::value::{Array, NodeId, Storage, Tensor, Value};
use crate::formats::budget::Budget;
use crate::formats::fault::Step;

/// Number of values that are small numbers: None, False, True, and the integers of one byte.
const SMALL: usize = 3 + 256;

/// Number of tuples that a new one is compared with.
const LATELY: usize = 8;

/// The place of a small number among them.
fn small(value: &Value<'_>) -> Option<usize> {
    match *value {
        Value::None => Some(0),
        Value::Bool(is) => Some(1 + usize::from(is)),
        Value::Int(number) => Some(3 + usize::from(u8::try_from(number).ok()?)),
        _ => None,
    }
}

/// Memory of what a value of several parts holds in addition to its node.
fn boxed(value: &Value<'_>) -> usize {
    match value {
        Value::Array(array) => {
            size_of::<Array>() + 8 * (array.shape.capacity() + array.strides.capacity())
        }
        Value::Tensor(tensor) => {
            size_of::<Tensor>() + 8 * (tensor.shape.capacity() + tensor.strides.capacity())
        }
        Value::Storage(_) => size_of::<Storage>(),
        _ => 0,
    }
}

/// The values, and the input that they are made from.
pub(super) struct Heap<'a> {
    pub(super) input: Input<'a>,
    pub(super) nodes: Nodes<'a>,
    pub(super) budget: Budget,
    /// The nodes of small numbers. Every small array has its own shape and flags, and nothing
    /// changes a number or a tuple: of equal ones there is one.
    small: [Option<NodeId>; SMALL],
    /// The nodes of the tuples that were made or found lately, the last one first.
    tuples: Vec<NodeId>,
}

impl<'a> Heap<'a> {
    pub(super) fn new(bytes: &'a [u8], budget: Budget) -> Self {
        let (input, nodes) = (Input::new(bytes), Nodes::default());
        Self { input, nodes, budget, small: [None; SMALL], tuples: Vec::new() }
    }

    /// Adds a value.
    pub(super) fn add(&mut self, value: Value<'a>) -> Step<NodeId> {
        let small = small(&value);
        if let Some(id) = small.and_then(|at| self.small.get(at).copied().flatten()) {
            return Ok(id);
        }
        self.charge(boxed(&value))?;
        let Some(id) = self.nodes.push(value, &mut self.budget) else {
            return self.input.too_large();
        };
        if let Some(slot) = small.and_then(|at| self.small.get_mut(at)) {
            *slot = Some(id);
        }
        Ok(id)
    }

    /// A tuple: one that was made lately if it is equal.
    pub(super) fn tuple(&mut self, items: &[NodeId]) -> Step<NodeId> {
        let equal = |id: &NodeId| matches!(self.get(*id), Value::Tuple(other) if other == items);
        let id = match self.tuples.iter().position(equal) {
            Some(at) => self.tuples.remove(at),
            None => {
                self.charge(size_of_val(items))?;
                self.add(Value::Tuple(items.to_vec()))?
            }
        };
        self.tuples.truncate(LATELY - 1);
        self.tuples.insert(0, id);
        Ok(id)
    }

    /// Replaces a value.
    pub(super) fn set(&mut self, id: NodeId, value: Value<'a>) -> Step<()> {
        self.charge(boxed(&value))?;
        if let Some(node) = self.nodes.get_mut(id) {
            *node = value;
        }
        Ok(())
    }

    /// Adds items to a list, or keys and values in turn to a dict.
    pub(super) fn extend(&mut self, container: NodeId, items: &[NodeId]) -> Step<()> {
        let fits = match self.nodes.get_mut(container) {
            Some(Value::List(list)) => {
                let fits = self.budget.reserve(list, items.len());
                if fits {
                    list.extend_from_slice(items);
                }
                fits
            }
            Some(Value::Dict(pairs)) if items.len().is_multiple_of(2) => {
                let fits = self.budget.reserve(pairs, items.len() / 2);
                if fits {
                    pairs.extend(
                        items.chunks_exact(2).filter_map(|p| Some((*p.first()?, *p.get(1)?))),
                    );
                }
                fits
            }
            _ => {
                return self.input.fault(
                    "opcode does not fit its operand",
                    "a list, or a dict and pairs",
                    self.kind(container),
                );
            }
        };
        if fits { Ok(()) } else { self.input.too_large() }
    }

    pub(super) fn charge(&mut self, bytes: usize) -> Step<()> {
        if self.budget.charge(bytes) { Ok(()) } else { self.input.too_large() }
    }

    /// The value of a node.
    pub(super) fn get(&self, id: NodeId) -> &Value<'a> {
        self.nodes.get(id)
    }

    pub(super) fn kind(&self, id: NodeId) -> &'static str {
        self.get(id).kind()
    }
}
