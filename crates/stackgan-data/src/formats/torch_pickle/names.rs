//! The tensors of a decoded object with their names, in the order of the file.

use super::stored::Stored;
use crate::formats::ArrayView;
use crate::formats::budget::Budget;
use crate::formats::fault::{Fault, Step};
use crate::formats::pickle::{NodeId, Value};
use std::fmt::Write as _;

/// Maximum number of values visited. Dicts may be shared, so there may be more paths to tensors
/// than bytes in the file.
const MAX_VALUES: usize = 1 << 20;

/// Maximum length of a tensor's name in bytes.
const MAX_NAME: usize = 4096;

/// A tensor with its name.
#[derive(Clone, Debug)]
pub struct NamedTensor<'a> {
    /// The keys that lead to it, joined by dots, such as `ca_net.fc.weight`. Empty if the file
    /// holds one bare tensor.
    pub name: String,
    /// Element type, shape and numbers; [`ArrayView::to_f32`] copies them in row-major order.
    pub array: ArrayView<'a>,
}

/// A dict or list whose next entry is to be visited, and the length of the name before it.
struct Open {
    node: NodeId,
    next: usize,
    name: usize,
}

/// Walks through dicts, lists and tuples. The decoder has checked that they are at most 64 deep.
pub(super) fn collect(stored: Stored<'_>) -> Step<Vec<NamedTensor<'_>>> {
    let too_large = || Fault::too_large(stored.offset);
    let mut budget = Budget::of(stored.room);
    let mut tensors = Vec::new();
    let mut name = String::new();
    let mut open: Vec<Open> = Vec::new();
    let mut entered = Some(stored.document.root_id());
    for _ in 0..MAX_VALUES {
        if let Some(node) = entered.take() {
            match stored.document.get(node) {
                value if value.is_container() => {
                    open.push(Open { node, next: 0, name: name.len() });
                }
                Value::Tensor(tensor) => {
                    let cost = name.len() + 16 * tensor.shape.len();
                    if !budget.charge(cost) || !budget.reserve(&mut tensors, 1) {
                        return Err(too_large());
                    }
                    let array: ArrayView<'_> = stored.view(tensor)?;
                    tensors.push(NamedTensor { name: name.clone(), array });
                }
                _ => {}
            }
        }
        let Some(top) = open.last_mut() else {
            if tensors.is_empty() {
                let pair = ("tensors in dicts and lists", stored.document.root().kind());
                return Err(Fault::new(stored.offset, "file holds no tensors", pair));
            }
            return Ok(tensors);
        };
        name.truncate(top.name);
        let (i, node) = (top.next, top.node);
        top.next += 1;
        let index = Value::Int(i as i64);
        let entry = match stored.document.get(node) {
            Value::Dict(pairs) => {
                pairs.get(i).map(|&(key, value)| (stored.document.get(key), value))
            }
            Value::List(items) | Value::Tuple(items) => items.get(i).map(|&value| (&index, value)),
            _ => None,
        };
        match entry {
            Some((key, value)) if extend(&mut name, key) => entered = Some(value),
            Some(_) => {
                let pair = (format!("a name of at most {MAX_NAME} bytes"), "a longer one");
                return Err(Fault::new(stored.offset, "name of a tensor is too long", pair));
            }
            None => drop(open.pop()),
        }
    }
    Err(too_large())
}

/// Appends a key to a name; returns false if it becomes too long.
fn extend(name: &mut String, key: &Value<'_>) -> bool {
    if !name.is_empty() {
        name.push('.');
    }
    match key {
        Value::Text(text) if text.len() <= MAX_NAME => name.push_str(text),
        Value::Bytes(bytes) if bytes.len() <= MAX_NAME => {
            name.extend(bytes.iter().map(|&byte| char::from(byte)));
        }
        Value::Text(_) | Value::RawText(_) | Value::Bytes(_) => return false,
        Value::Int(number) => {
            let _ = write!(name, "{number}"); // cannot fail on a String
        }
        _ => name.push('?'),
    }
    name.len() <= MAX_NAME
}
