//! The values of a pickle, in blocks: when one is full the next begins, and no value is ever moved.
//! A list that grows exists twice for a moment; a pickle of many small arrays has no room for that.

use super::value::{NodeId, Value};
use crate::formats::budget::Budget;

/// Number of values in a block.
const BLOCK: usize = 1 << 12;

/// The values, by index.
#[derive(Debug, Default)]
pub(super) struct Nodes<'a>(Vec<Vec<Value<'a>>>);

impl<'a> Nodes<'a> {
    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * BLOCK + last.len())
    }

    /// Adds a value; `None` if the budget does not cover it.
    pub(super) fn push(&mut self, value: Value<'a>, budget: &mut Budget) -> Option<NodeId> {
        let id = u32::try_from(self.len()).ok()?;
        if self.0.last().is_none_or(|last| last.len() == BLOCK) {
            if !budget.reserve(&mut self.0, 1) {
                return None;
            }
            self.0.push(Vec::new());
        }
        let last = self.0.last_mut()?;
        if !budget.reserve(last, 1) {
            return None;
        }
        last.push(value);
        Some(NodeId(id))
    }

    /// The value at `id`; [`Value::None`] if there is none.
    pub(super) fn get(&self, id: NodeId) -> &Value<'a> {
        let at = id.0 as usize;
        self.0.get(at / BLOCK).and_then(|block| block.get(at % BLOCK)).unwrap_or(&Value::None)
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> Option<&mut Value<'a>> {
        let at = id.0 as usize;
        self.0.get_mut(at / BLOCK)?.get_mut(at % BLOCK)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Value<'a>> {
        self.0.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_the_index_that_they_got() {
        let (mut nodes, mut budget) = (Nodes::default(), Budget::of(1 << 20));
        let n = 2 * BLOCK as i64 + 3;
        for number in 0..n {
            assert_eq!(nodes.len() as i64, number);
            let id = nodes.push(Value::Int(number), &mut budget).unwrap();
            assert_eq!(nodes.get(id), &Value::Int(number));
        }
        assert!(nodes.iter().zip(0..n).all(|(value, number)| value == &Value::Int(number)));
        let middle = NodeId(BLOCK as u32);
        *nodes.get_mut(middle).unwrap() = Value::Bool(true);
        assert_eq!(nodes.get(middle), &Value::Bool(true));
        assert_eq!(nodes.get(NodeId(BLOCK as u32 - 1)), &Value::Int(BLOCK as i64 - 1));
        assert_eq!(nodes.get(NodeId(n as u32)), &Value::None);
        assert!(nodes.get_mut(NodeId(u32::MAX)).is_none());
        assert!(Nodes::default().push(Value::None, &mut Budget::of(0)).is_none());
    }
}
