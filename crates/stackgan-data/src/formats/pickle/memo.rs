//! The memo: values that a pickle refers to again, by number. Picklers count from 0 or 1, so most
//! entries are a list; a file of small arrays has more of them than values.

use super::value::NodeId;
use crate::formats::budget::Budget;
use std::collections::BTreeMap;

/// A number that has no entry.
const NONE: NodeId = NodeId(u32::MAX);

/// Memory of an entry of a tree, with its share of a half-full leaf.
const ENTRY: usize = 24;

/// The entries.
#[derive(Default)]
pub(super) struct Memo {
    /// Those without gaps, from 0 or 1.
    first: Vec<NodeId>,
    others: BTreeMap<u32, NodeId>,
    /// Number of entries.
    count: u32,
}

impl Memo {
    /// Memory of the entries, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<NodeId>() * self.first.capacity() + ENTRY * self.others.len()
    }

    /// The number of the next entry of a pickler that does not give numbers.
    pub(super) fn next(&self) -> u32 {
        self.count
    }

    pub(super) fn get(&self, index: u32) -> Option<NodeId> {
        let first = self.first.get(index as usize).filter(|id| **id != NONE);
        first.or_else(|| self.others.get(&index)).copied()
    }

    /// Sets an entry; returns false if the budget does not cover it.
    pub(super) fn set(&mut self, index: u32, id: NodeId, budget: &mut Budget) -> bool {
        let (at, len) = (index as usize, self.first.len());
        if self.get(index).is_none() {
            self.count += 1;
        }
        if let Some(entry) = self.first.get_mut(at) {
            *entry = id;
        } else if at == len || (at, len) == (1, 0) {
            if !budget.reserve(&mut self.first, at + 1 - len) {
                return false;
            }
            self.others.remove(&index);
            self.first.resize(at, NONE);
            self.first.push(id);
        } else {
            if !budget.charge(ENTRY) {
                return false;
            }
            self.others.insert(index, id);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_in_whatever_order_they_are_set() {
        for order in [[0, 1, 2, 9], [1, 2, 9, 3], [9, 0, 1, 2], [2, 1, 0, 3]] {
            let (mut memo, mut budget) = (Memo::default(), Budget::of(1 << 10));
            for (n, index) in order.into_iter().enumerate() {
                assert_eq!(memo.get(index), None);
                assert!(memo.set(index, NodeId(90), &mut budget));
                assert!(memo.set(index, NodeId(index), &mut budget));
                assert_eq!(memo.next() as usize, n + 1);
            }
            assert!(order.into_iter().all(|index| memo.get(index) == Some(NodeId(index))));
            assert_eq!(memo.get(7), None);
        }
        let (mut memo, mut none) = (Memo::default(), Budget::of(0));
        assert!(!memo.set(0, NodeId(0), &mut none) && !memo.set(5, NodeId(0), &mut none));
    }
}
